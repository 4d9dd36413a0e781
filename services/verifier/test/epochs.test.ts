import type { Hex } from '@cupel/protocol/hex';
import { address } from '@cupel/testing/builders';
import { memoryLogger } from '@cupel/testing/logger';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { openState } from '../src/io/state-sqlite.ts';
import { createEpochs } from '../src/loops/epochs.ts';
import type { VerifierState } from '../src/state.ts';
import { eventOf, hashOf, keccak } from './arrange.ts';

let folder: string;
let state: VerifierState & Disposable;
let now = 1_000_000;
const open = (): void => {
  state = openState({ path: join(folder, 'verifier.sqlite'), chainId: 31337, verifier: address(1) });
};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupel-loops-'));
  now = 1_000_000;
  open();
});
afterEach(() => {
  state[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

const common = () => ({ state, nowMs: () => now, logger: memoryLogger() });

/** A chain that the test moves. */
const fakeChain = () => {
  const sent = new Map<string, { readonly data: Hex; block: number | undefined }>();
  const chain = {
    sent,
    latest: 10,
    finalized: 0,
    fork: 0,
    mine: () => {
      chain.latest += 1;
      for (const tx of sent.values()) tx.block ??= chain.latest;
    },
    of: (key: string) => {
      const block = sent.get(key)?.block;
      return block === undefined ? undefined : { tx: hashOf(block * 1000), block };
    },
    commit: async (key: string, data: Hex) => {
      if (!sent.has(key)) sent.set(key, { data, block: undefined });
      return chain.of(key);
    },
    commitment: async (key: string) => chain.of(key),
    height: async (tag: 'latest' | 'finalized') => chain[tag],
    blockHash: async (number: number) => (number <= chain.latest ? hashOf(chain.fork * 10_000 + number) : undefined),
  };
  return chain;
};

describe('epochs', () => {
  const arrange = (rate = 1) => {
    const chain = fakeChain();
    let seeds = 0;
    const epochs = createEpochs({
      ...common(),
      chain,
      keccak,
      epochMs: 1000,
      rate,
      beaconDelayBlocks: 2,
      randomBytes32: () => hashOf(++seeds),
      onDrawn: () => undefined,
      wake: () => undefined,
    });
    const run = async (): Promise<void> => {
      await epochs.run();
      await new Promise((resolve) => setImmediate(resolve));
    };
    return { chain, run };
  };

  it('send nothing while nothing is held, and nothing before their time', async () => {
    const { chain, run } = arrange();
    now += 60_000;
    await run();
    state.hold(eventOf(1), now);
    await run();
    expect(chain.sent.size).toBe(0);
    now += 1000;
    await run();
    await run();
    expect(chain.sent.size).toBe(1);
  });

  it('draw by the named block after the commitment, never before', async () => {
    const { chain, run } = arrange();
    state.hold(eventOf(1), now);
    now += 1000;
    await run();
    await run();
    expect(state.openEpochs()[0]?.state).toBe('closed');
    chain.mine();
    await run();
    await run();
    expect(state.openEpochs()[0]?.state).toBe('committed');
    chain.mine();
    await run();
    expect(state.pendingVerdicts(9)).toEqual([]);
    chain.mine();
    await run();
    expect(state.openEpochs()[0]).toMatchObject({ state: 'drawn', commitment: { block: 11 }, beacon: { block: 13, hash: hashOf(13) } });
    expect(state.pendingVerdicts(9)).toHaveLength(1);
  });

  it('put what comes after the closing into the next one', async () => {
    const { chain, run } = arrange();
    state.hold(eventOf(1), now);
    now += 1000;
    await run();
    state.hold(eventOf(2), now);
    now += 1000;
    await run();
    await run();
    expect(chain.sent.size).toBe(2);
    expect([state.heldIn(1).length, state.heldIn(2).length]).toEqual([1, 1]);
  });

  it('go on after a restart with the same seed and the same commitment', async () => {
    const first = arrange();
    state.hold(eventOf(1), now);
    now += 1000;
    await first.run();
    await first.run();
    const seed = state.openEpochs()[0]?.seed;
    state[Symbol.dispose]();
    open();
    const second = arrange();
    await second.run();
    await second.run();
    expect(state.openEpochs()[0]?.seed).toBe(seed);
    expect([...second.chain.sent]).toEqual([...first.chain.sent]);
  });

  it('are drawn anew when the chain takes the beacon back, and rest when it is final', async () => {
    const { chain, run } = arrange(0.5);
    for (let n = 1; n <= 20; n++) state.hold(eventOf(n), now);
    now += 1000;
    for (let i = 0; i < 5; i++) {
      await run();
      chain.mine();
    }
    await run();
    const before = state.pendingVerdicts(99).map((p) => p.digest);
    chain.fork = 1;
    chain.finalized = 13;
    for (let i = 0; i < 3; i++) await run();
    const after = state.pendingVerdicts(99).map((p) => p.digest);
    expect(after).not.toEqual(before);
    expect(state.openEpochs()).toEqual([]);
  });
});
