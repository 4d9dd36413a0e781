import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Hex } from '@cupel/protocol/hex';
import { encodeJson } from '@cupel/protocol/wire/scalars';
import { MODEL_ID, address, word } from '@cupel/testing/builders';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { readAudit } from '../src/io/audit-source.ts';
import { StateError } from '../src/io/state-schema.ts';
import { openState } from '../src/io/state-sqlite.ts';
import { commitOf, inOrder, isDrawn, setRootOf } from '../src/sample/epoch.ts';
import { epochProblems } from '../src/sample/audit.ts';
import type { Epoch, VerdictRow } from '../src/state.ts';
import { eventOf, hashOf, keccak } from './arrange.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupel-state-'));
  path = join(folder, 'verifier.sqlite');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const VERIFIER = address(0x5e1f);
const open = (more: { chainId?: number; verifier?: Hex } = {}) => openState({ path, chainId: 31337, verifier: VERIFIER, ...more });

const epochOf = (number: number, held: Parameters<typeof setRootOf>[1]): Epoch => ({
  number,
  state: 'closed',
  seed: hashOf(number),
  rate: 0.5,
  beaconDelayBlocks: 1,
  commit: commitOf(keccak, hashOf(number), number),
  setRoot: setRootOf(keccak, held),
  commitment: undefined,
  beacon: undefined,
});
const verdictOf = (digest: Hex, more: Partial<VerdictRow> = {}): VerdictRow => ({
  digest,
  modelId: MODEL_ID,
  verdict: 'pass',
  reason: 'x',
  atMs: 5,
  sequence: undefined,
  accuse: false,
  ...more,
});
const events = [1, 2, 3, 4].map((n) => eventOf(n));
const digests = events.map((e) => e.receiptDigest);

/** Holds four receipts and brings them into a drawn epoch. */
const drawn = (state: ReturnType<typeof open>, which: readonly Hex[]): void => {
  for (const event of events) state.hold(event, 10);
  const held = state.heldIn(undefined);
  state.closeEpoch(
    epochOf(1, held),
    held.map((h) => h.digest),
    20,
  );
  state.setCommitment(1, { tx: word(7), block: 100 });
  state.setDraw(1, { block: 101, hash: hashOf(101) }, which);
};

describe('receipts', () => {
  it('are held once per request and survive a restart', () => {
    {
      using state = open();
      expect(events.map((event) => state.hold(event, 10))).toEqual([true, true, true, true]);
      expect(state.hold(events[0]!, 11)).toBe(false);
      expect(state.hold(eventOf(1, { receipt: { price: 5n } }), 11)).toBe(false);
    }
    using state = open();
    expect(state.waiting()).toEqual({ receipts: 4, oldestMs: 10 });
    expect(state.event(digests[1]!)).toEqual(events[1]);
    expect([...state.models()]).toEqual([MODEL_ID]);
  });

  it('are forgotten when they are old and done, and not before', () => {
    using state = open();
    drawn(state, digests.slice(0, 3));
    state.hold(eventOf(9), 10);
    state.putVerdict(verdictOf(digests[0]!));
    state.putVerdict(verdictOf(digests[1]!, { verdict: 'lie', accuse: true }));
    // 0 is judged, 3 was not drawn, the ninth is in no epoch (all of a defender's are); 1 is in dispute, 2 not judged.
    expect(state.forgetBefore(1_000_000)).toBe(3);
    expect(digests.map((digest) => state.event(digest) !== undefined)).toEqual([false, true, true, false]);
    state.putRuling(digests[1]!, 'upheld', false, 'x', word(1), 6);
    expect(state.forgetBefore(1_000_000)).toBe(1);
    expect(state.hold(events[0]!, 10)).toBe(false);
  });
});

describe('epochs', () => {
  it('fix their set: what comes later is not in it, and nothing is in two', () => {
    using state = open();
    for (const event of events.slice(0, 2)) state.hold(event, 10);
    const first = state.heldIn(undefined);
    state.closeEpoch(
      epochOf(1, first),
      first.map((h) => h.digest),
      20,
    );
    state.hold(events[2]!, 30);
    expect(state.heldIn(1)).toEqual(inOrder(first));
    expect(state.heldIn(undefined).map((h) => h.digest)).toEqual([digests[2]]);
    expect(() => state.closeEpoch(epochOf(2, first), [digests[0]!], 40)).toThrow(/not free/);
    expect(state.lastEpoch()).toBe(1);
  });

  it('go through their states, and back when the chain does', () => {
    using state = open();
    drawn(state, digests.slice(0, 1));
    expect(state.openEpochs()).toMatchObject([{ state: 'drawn', commitment: { block: 100 }, beacon: { block: 101 } }]);
    expect(state.pendingVerdicts(9)).toEqual([{ digest: digests[0], modelId: MODEL_ID }]);
    state.setCommitment(1, { tx: word(7), block: 102 });
    expect(state.openEpochs()).toMatchObject([{ state: 'committed', commitment: { block: 102 }, beacon: undefined }]);
    state.setDraw(1, { block: 103, hash: hashOf(103) }, digests.slice(2));
    expect(state.pendingVerdicts(9).map((p) => p.digest)).toEqual(digests.slice(2).toSorted());
    state.setFinal(1);
    expect(state.openEpochs()).toEqual([]);
  });
});

describe('verdicts and disputes', () => {
  it('the first verdict stands, and a lie is a dispute in the same write', () => {
    {
      using state = open();
      drawn(state, digests);
      expect(state.putVerdict(verdictOf(digests[0]!, { verdict: 'lie', accuse: true }))).toBe(true);
      expect(state.putVerdict(verdictOf(digests[0]!, { verdict: 'pass' }))).toBe(false);
      state.putVerdict(verdictOf(digests[1]!, { sequence: { logRatio: 1.5, tokens: 7, differences: 1 } }));
      state.putConsent(digests[0]!, { notAfter: 77n, signature: `0x${'22'.repeat(64)}` });
    }
    using state = open();
    expect(state.tallies()).toEqual([{ modelId: MODEL_ID, tally: { pass: 1, lie: 1, suspect: 0, unverifiable: 0 } }]);
    expect(state.sequence(MODEL_ID)).toEqual({ logRatio: 1.5, tokens: 7, differences: 1 });
    expect(state.dueDisputes()).toMatchObject([{ digest: digests[0], state: 'due', consent: { notAfter: 77n }, failures: 0 }]);
    state.putRuling(digests[0]!, 'due', true, 'x', undefined, 8);
    expect(state.dispute(digests[0]!)?.failures).toBe(1);
    state.putRuling(digests[0]!, 'upheld', false, 'x', word(1), 9);
    expect(state.dueDisputes()).toEqual([]);
  });

  it('a defence is remembered', () => {
    using state = open();
    state.putDefence(word(1), MODEL_ID, word(2), { finding: 'right', reason: 'x' }, 3);
    expect([state.defended(word(1)), state.defended(word(2))]).toEqual([true, false]);
  });
});

describe('the file', () => {
  it('belongs to one verifier on one chain, and to one process', () => {
    {
      using _state = open();
      expect(() => open()).toThrow(StateError);
    }
    expect(() => open({ chainId: 1 })).toThrow(/chain_id/);
    expect(() => open({ verifier: address(1) })).toThrow(/verifier/);
    open()[Symbol.dispose]();
  });

  it('shows drawn epochs while it is written to, as a copy, and as an export; never a seed before its draw', () => {
    using state = open();
    drawn(
      state,
      digests.filter((digest) => isDrawn(keccak, { beacon: hashOf(101), seed: hashOf(1), digest, rate: 0.5 })),
    );
    state.hold(eventOf(9), 10);
    const held = state.heldIn(undefined);
    state.closeEpoch({ ...epochOf(2, held), seed: hashOf(4242) }, [held[0]!.digest], 30);
    const record = readAudit(path);
    expect(record).toMatchObject({ chainId: 31337, verifier: VERIFIER, undrawn: 1, epochs: [{ number: 1, commitTx: word(7) }] });
    expect(epochProblems(keccak, record, record.epochs[0]!, undefined)).toEqual([]);
    expect(encodeJson(record)).not.toContain(hashOf(4242).slice(2));

    const copy = mkdtempSync(join(tmpdir(), 'cupel-copy-'));
    try {
      for (const name of readdirSync(folder)) cpSync(join(folder, name), join(copy, name));
      expect(readAudit(join(copy, 'verifier.sqlite'))).toEqual(record);
      writeFileSync(join(copy, 'export.json'), encodeJson(record));
      expect(readAudit(join(copy, 'export.json'))).toEqual(record);
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  });

  it.each(['', '{}', 'not JSON'])('is refused when it says %j', (text) => {
    writeFileSync(path, text);
    expect(() => readAudit(path)).toThrow(StateError);
  });
});
