import type { ReceiptEvent } from '@cupel/protocol/wire/bus';
import { MODEL_ID, address, word } from '@cupel/testing/builders';
import { memoryLogger } from '@cupel/testing/logger';
import { eventually } from '@cupel/testing/wait';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { openState } from '../src/io/state-sqlite.ts';
import { judged } from '../src/judge/verdict.ts';
import type { Judgement } from '../src/judge/verdict.ts';
import { createDefence } from '../src/loops/defence.ts';
import { createHolder } from '../src/loops/hold.ts';
import { EngineAway } from '../src/loops/ports.ts';
import type { OwnModels } from '../src/loops/ports.ts';
import { createReputations } from '../src/loops/reputation.ts';
import { createVerdicts } from '../src/loops/verdicts.ts';
import type { VerifierState } from '../src/state.ts';
import { eventOf, versionFacts } from './arrange.ts';

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
const common = () => ({ state, nowMs: () => now, logger: memoryLogger() });

const drawAll = (events: readonly ReceiptEvent[]): void => {
  for (const event of events) state.hold(event, now);
  const held = state.heldIn(undefined);
  const epoch = { number: 1, state: 'closed', seed: word(1), rate: 1, beaconDelayBlocks: 1, commit: word(2), setRoot: word(3) } as const;
  const digests = held.map((h) => h.digest);
  state.closeEpoch({ ...epoch, commitment: undefined, beacon: undefined }, digests, now);
  state.setDraw(1, { block: 1, hash: word(4) }, digests);
};

describe('verdicts', () => {
  const arrange = (judge: () => Promise<{ judgement: Judgement }>, disputesEnabled = true) => {
    const verdicts = createVerdicts({
      ...common(),
      versions,
      models,
      judge,
      disputesEnabled,
      onVerdict: () => undefined,
      wake: () => undefined,
    });
    return {
      run: async (): Promise<void> => {
        await verdicts.run();
        await new Promise((resolve) => setTimeout(resolve, 5));
      },
    };
  };

  it.each([
    ['lie', true, 1],
    ['lie', false, 0],
    ['suspect', true, 0],
    ['unverifiable', true, 0],
    ['pass', true, 0],
  ] as const)('%s with disputes %s: %i in court', async (verdict, enabled, disputes) => {
    drawAll([eventOf(1)]);
    await arrange(async () => ({ judgement: judged(verdict, 'x') }), enabled).run();
    expect(state.tallies()[0]?.tally[verdict]).toBe(1);
    expect(state.dueDisputes()).toHaveLength(disputes);
  });

  it('try again what could not be judged, later', async () => {
    drawAll([eventOf(1)]);
    let away = true;
    const { run } = arrange(async () => {
      if (away) throw new EngineAway('away');
      return { judgement: judged('pass', 'x') };
    });
    await run();
    await run();
    expect(state.tallies()).toEqual([]);
    away = false;
    now += 60_000;
    await run();
    expect(state.tallies()[0]?.tally.pass).toBe(1);
  });
});

describe('holding', () => {
  it('leaves out what does not hash to its digest', async () => {
    const odd: number[] = [];
    const hold = createHolder({ ...common(), digestOf: () => word(5), onHeld: () => undefined, onOdd: () => void odd.push(1) });
    await hold(eventOf(1));
    expect([state.waiting().receipts, odd.length]).toEqual([0, 1]);
  });
});

describe('reputation', () => {
  it('is written once per change, and again when the bucket was lost', async () => {
    drawAll([eventOf(1), eventOf(2)]);
    const written: number[] = [];
    let lost = true;
    const { run } = createReputations({
      state,
      unarbitrated: () => false,
      bucket: { ensure: async () => lost, put: async (_id, value) => void written.push(value.checked) },
    });
    const judge = (n: number): boolean =>
      state.putVerdict({
        digest: eventOf(n).receiptDigest,
        modelId: MODEL_ID,
        verdict: 'pass',
        reason: 'x',
        atMs: 1,
        sequence: undefined,
        accuse: false,
      });
    judge(1);
    await run();
    lost = false;
    await run();
    judge(2);
    await run();
    lost = true;
    await run();
    expect(written).toEqual([1, 2, 2]);
  });
});

describe('a defender', () => {
  const dispute = {
    version: 1,
    receiptDigest: eventOf(1).receiptDigest,
    modelId: MODEL_ID,
    challenger: address(9),
    status: 'upheld',
    slashed: 5n,
    refund: 1n,
    tx: word(1),
  } as const;
  const arrange = (verdict: 'lie' | 'pass') => {
    const findings: string[] = [];
    const defence = createDefence({
      ...common(),
      versions,
      judge: async () => ({ judgement: judged(verdict, 'x') }),
      onFinding: (finding) => void findings.push(finding),
    });
    return { defence, findings };
  };

  it.each([
    ['lie', 'right'],
    ['pass', 'wrong'],
  ] as const)('whose own recomputation says %s calls the verdict %s, once', async (verdict, finding) => {
    state.hold(eventOf(1), now);
    const { defence, findings } = arrange(verdict);
    defence.disputeChanged('', dispute);
    await defence.run();
    await defence.run();
    expect(findings).toEqual([finding]);
    expect(await eventually('memory', () => state.defended(dispute.receiptDigest))).toBe(true);
  });

  it('wakes somebody about a receipt that it never issued, after a while', async () => {
    state.hold(eventOf(2), now);
    const { defence, findings } = arrange('pass');
    defence.disputeChanged('', dispute);
    await defence.run();
    expect(findings).toEqual([]);
    now += 20_000;
    await defence.run();
    expect(findings).toEqual(['unknownReceipt']);
  });

  it('does not look at the models of others', async () => {
    const { defence, findings } = arrange('lie');
    defence.disputeChanged('', dispute);
    now += 20_000;
    await defence.run();
    expect(findings).toEqual([]);
  });
});
