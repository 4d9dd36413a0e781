import type { ReceiptEvent } from '@cupel/protocol/wire/bus';
import { MODEL_ID, address, word } from '@cupel/testing/builders';
import { memoryLogger } from '@cupel/testing/logger';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { ChallengeOutcome } from '../src/dispute/decide.ts';
import { openState } from '../src/io/state-sqlite.ts';
import { createDisputes } from '../src/loops/disputes.ts';
import type { OwnModels, Payments } from '../src/loops/ports.ts';
import type { VerifierState } from '../src/state.ts';
import { eventOf, keccak, versionFacts } from './arrange.ts';

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

const weights = Uint8Array.of(1, 2, 3);
const loaded = {
  verificationRoot: word(0xbb),
  program: Uint8Array.of(9),
  weights,
  model: { program: { inputLength: 1, outputLength: 1, ops: [] }, layers: [] },
};
const models: OwnModels = new Map([['aa'.repeat(32), { kind: 'integer', loaded }]]);
const versions = { of: async () => versionFacts() };
const payload = { salt: word(1), input: '0x01', output: '0x02' } as const;
const common = () => ({ state, nowMs: () => now, logger: memoryLogger() });

const drawAll = (events: readonly ReceiptEvent[]): void => {
  for (const event of events) state.hold(event, now);
  const held = state.heldIn(undefined);
  const epoch = { number: 1, state: 'closed', seed: word(1), rate: 1, beaconDelayBlocks: 1, commit: word(2), setRoot: word(3) } as const;
  const digests = held.map((h) => h.digest);
  state.closeEpoch({ ...epoch, commitment: undefined, beacon: undefined }, digests, now);
  state.setDraw(1, { block: 1, hash: word(4) }, digests);
};

describe('disputes', () => {
  const lie = eventOf(1);
  const arrange = (outcomes: ChallengeOutcome[], more: { upheld?: boolean; payments?: Partial<Payments> } = {}) => {
    const calls: string[] = [];
    const rulings: string[] = [];
    let published = false;
    const disputes = createDisputes({
      ...common(),
      versions,
      models,
      payments: {
        payload: async () => payload,
        async consent() {
          calls.push('consent');
          return { notAfter: BigInt(now), signature: `0x${'22'.repeat(64)}` as const, descriptor: lie.descriptor };
        },
        ...more.payments,
      },
      court: {
        challenger: address(1),
        factory: address(2),
        isPublished: async () => published,
        async publish() {
          calls.push('publish');
          published = true;
        },
        async challenge(key) {
          calls.push(key);
          return outcomes.shift() ?? { kind: 'open', message: 'nothing known' };
        },
        isUpheld: async () => more.upheld ?? false,
      },
      keccak,
      enabled: true,
      onRuling: (ruling) => void rulings.push(ruling),
    });
    const run = async (): Promise<void> => {
      await disputes.run();
      await new Promise((resolve) => setTimeout(resolve, 10));
    };
    return { disputes, calls, rulings, run };
  };
  const accuse = (): void => {
    drawAll([lie]);
    state.putVerdict({
      digest: lie.receiptDigest,
      modelId: MODEL_ID,
      verdict: 'lie',
      reason: 'x',
      atMs: now,
      sequence: undefined,
      accuse: true,
    });
  };
  const challenge = (failures: number): string => `challenge:${lie.receiptDigest}:${failures}`;

  it('publish, get leave, challenge, and end', async () => {
    accuse();
    const { calls, rulings, run } = arrange([{ kind: 'mined', hash: word(9) }]);
    await run();
    await run();
    expect(calls).toEqual(['publish', 'consent', challenge(0)]);
    expect(rulings).toEqual(['upheld']);
  });

  it('after a crash between consent and challenge: the same key, and no second consent', async () => {
    accuse();
    state.putConsent(lie.receiptDigest, { notAfter: BigInt(now), signature: `0x${'22'.repeat(64)}` });
    state[Symbol.dispose]();
    open();
    const { calls, run } = arrange([{ kind: 'mined', hash: word(9) }]);
    await run();
    expect(calls).toEqual(['publish', challenge(0)]);
  });

  it('ask again under the same key while nothing is known, and under a new one when a transaction failed', async () => {
    accuse();
    const { calls, run } = arrange([
      { kind: 'open', message: 'x' },
      { kind: 'refused', simulated: true, error: 'NoWeightData', message: 'x' },
      { kind: 'refused', simulated: false, error: 'NoWeightData', message: 'x' },
      { kind: 'mined', hash: word(9) },
    ]);
    for (let i = 0; i < 4; i++) {
      await run();
      now += 100_000;
    }
    expect(calls.filter((c) => c.startsWith('challenge'))).toEqual([challenge(0), challenge(0), challenge(0), challenge(1)]);
    expect(state.dueDisputes()).toEqual([]);
  });

  it('say it loudly when the court finds the answer right, and never try it again', async () => {
    accuse();
    const { calls, rulings, run } = arrange([{ kind: 'refused', simulated: true, error: 'AnswerIsRight', message: 'right' }]);
    await run();
    now += 100_000;
    await run();
    expect(calls.filter((c) => c.startsWith('challenge'))).toHaveLength(1);
    expect(rulings).toEqual(['falseAccusation']);
  });

  it('end when somebody else was first', async () => {
    accuse();
    const { rulings, run } = arrange([{ kind: 'refused', simulated: true, error: 'AlreadyUpheld', message: 'x' }], { upheld: true });
    await run();
    expect(rulings).toEqual(['upheld']);
  });

  it('fail without a payload, and accuse nobody', async () => {
    accuse();
    const { calls, rulings, run } = arrange([], { payments: { payload: async () => undefined } });
    await run();
    expect(calls).toEqual(['publish', 'consent']);
    expect(rulings).toEqual(['failed']);
  });
});
