import { address } from '@cupel/testing/builders';
import { describe, expect, it } from 'vitest';

import { epochProblems, summarize } from '../src/sample/audit.ts';
import type { AuditEpoch, AuditRecord, OnChain } from '../src/sample/audit.ts';
import { commitData, commitOf, isDrawn, setRootOf } from '../src/sample/epoch.ts';
import { hashOf, keccak } from './arrange.ts';

const VERIFIER = address(0x5e1f);

const epochOf = (
  number: number,
  rate: number,
  verdicts: readonly ('pass' | 'lie' | 'suspect' | 'unverifiable' | undefined)[],
): AuditEpoch => {
  const seed = hashOf(1000 + number);
  const beaconHash = hashOf(2000 + number);
  const held = verdicts.map((_, i) => ({ digest: hashOf(number * 100 + i), heldAtMs: i }));
  return {
    number,
    seed,
    rate,
    beaconDelayBlocks: 2,
    commit: commitOf(keccak, seed, number),
    setRoot: setRootOf(keccak, held),
    commitTx: hashOf(3000 + number),
    commitBlock: 10,
    beaconBlock: 12,
    beaconHash,
    receipts: held.map((h, i) => {
      const drawn = isDrawn(keccak, { beacon: beaconHash, seed, digest: h.digest, rate });
      const verdict = verdicts[i];
      return { ...h, drawn, ...(verdict && { verdict }) };
    }),
  };
};
const recordOf = (epochs: readonly AuditEpoch[]): AuditRecord => ({
  version: 1,
  chainId: 31337,
  verifier: VERIFIER,
  epochs: [...epochs],
  undrawn: 3,
  disputes: [
    { digest: hashOf(101), state: 'upheld' },
    { digest: hashOf(102), state: 'open' },
  ],
});
const onChain = (epoch: AuditEpoch, more: Partial<NonNullable<OnChain['commitment']>> = {}): OnChain => ({
  commitment: { block: 10, from: VERIFIER, to: VERIFIER, data: commitData(epoch.commit, epoch.setRoot), success: true, ...more },
  beaconHash: epoch.beaconHash,
});

const good = epochOf(
  1,
  0.5,
  Array.from({ length: 20 }, () => undefined),
);
const problems = (epoch: AuditEpoch, chain?: OnChain) => epochProblems(keccak, recordOf([epoch]), epoch, chain);

describe('drawing again', () => {
  it('finds nothing in an honest epoch, with and without the chain', () => {
    expect(problems(good)).toEqual([]);
    expect(problems(good, onChain(good))).toEqual([]);
  });

  it.each<[string, AuditEpoch]>([
    ['a receipt that was kept out of the sample', { ...good, receipts: good.receipts.map((r) => ({ ...r, drawn: false })) }],
    ['a receipt that was put into it', { ...good, receipts: good.receipts.map((r) => ({ ...r, drawn: true })) }],
    ['a receipt that is gone', { ...good, receipts: good.receipts.slice(1) }],
    ['another seed', { ...good, seed: hashOf(9) }],
    ['another beacon', { ...good, beaconHash: hashOf(9) }],
    ['a beacon that was chosen', { ...good, beaconBlock: 13 }],
    ['a lower rate', { ...good, rate: 0.01 }],
    ['no receipts at all', { ...good, receipts: [] }],
  ])('finds %s', (_, epoch) => expect(problems(epoch)).not.toEqual([]));

  it.each<[string, OnChain]>([
    ['that is not there', { ...onChain(good), commitment: undefined }],
    ['that failed', onChain(good, { success: false })],
    ['of somebody else', onChain(good, { from: address(1) })],
    ['to somebody else', onChain(good, { to: address(1) })],
    ['to something else', onChain(good, { data: commitData(good.commit, hashOf(9)) })],
    ['in another block', onChain(good, { block: 11 })],
    ['whose beacon has another hash', { ...onChain(good), beaconHash: hashOf(9) }],
    ['whose beacon is not there', { ...onChain(good), beaconHash: undefined }],
  ])('finds a commitment %s', (_, chain) => expect(problems(good, chain)).not.toEqual([]));

  it('finds a commitment that came after its beacon', () => {
    const late = { ...good, commitBlock: 12, beaconBlock: 14 };
    expect(problems({ ...late, beaconBlock: 12 }, onChain(good, { block: 12 })).join()).toContain('not older than the beacon');
  });
});

describe('the sum of all epochs', () => {
  const verdicts = ['lie', 'pass', 'suspect', 'unverifiable', undefined] as const;
  const summary = summarize(
    keccak,
    recordOf([epochOf(1, 1, verdicts), epochOf(2, 1, ['lie', 'pass']), epochOf(3, 0, [undefined])]),
    () => undefined,
  );

  it('counts', () =>
    expect(summary).toMatchObject({
      receipts: 8 + 3,
      sampled: 7,
      undrawn: 3,
      passed: 2,
      lies: 2,
      suspect: 1,
      unverifiable: 1,
      pendingVerdicts: 1,
      disputes: { upheld: 1, open: 1, failed: 0, falseAccusations: 0 },
      lieDigests: [hashOf(100), hashOf(200)],
    }));

  it('multiplies what every lie had of a chance to be missed', () => {
    const found = (rate: number): AuditEpoch => {
      const epoch = epochOf(7, rate, [undefined, undefined, undefined]);
      return { ...epoch, receipts: epoch.receipts.map((r) => ({ ...r, verdict: 'lie' as const })) };
    };
    const { missEveryLie } = summarize(keccak, recordOf([found(0.5), found(0.9)]), () => undefined);
    expect(missEveryLie).toBeCloseTo(0.5 ** 3 * 0.1 ** 3, 12);
    expect(summarize(keccak, recordOf([good]), () => undefined).missEveryLie).toBe(1);
  });
});
