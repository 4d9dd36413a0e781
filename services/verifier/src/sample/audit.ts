import type { Keccak256 } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import { bytes32, address, version1 } from '@cupel/protocol/wire/scalars';
import { z } from 'zod';

import { commitData, commitOf, isDrawn, setRootOf } from './epoch.ts';

const verdict = z.enum(['pass', 'lie', 'suspect', 'unverifiable']);

const receiptRow = z.object({
  digest: bytes32,
  heldAtMs: z.number(),
  drawn: z.boolean(),
  verdict: verdict.optional(),
});

const epochRow = z.object({
  number: z.number().int().min(1),
  /** Revealed: the epoch is drawn. */
  seed: bytes32,
  rate: z.number().min(0).max(1),
  beaconDelayBlocks: z.number().int().min(1),
  commit: bytes32,
  setRoot: bytes32,
  commitTx: bytes32,
  commitBlock: z.number().int().min(0),
  beaconBlock: z.number().int().min(0),
  beaconHash: bytes32,
  receipts: z.array(receiptRow),
});

/** What a verifier shows of itself: everything that is needed to draw again. Epochs that are not drawn yet are left out: their seeds are secret. */
export const auditRecord = z.object({
  version: version1,
  chainId: z.number().int().min(1),
  verifier: address,
  epochs: z.array(epochRow),
  /** Receipts held that are in no drawn epoch yet. */
  undrawn: z.number().int().min(0),
  disputes: z.array(z.object({ digest: bytes32, state: z.enum(['open', 'upheld', 'failed', 'falseAccusation']) })),
});

export type AuditRecord = z.output<typeof auditRecord>;
export type AuditEpoch = z.output<typeof epochRow>;

/** What the chain says of one epoch; undefined fields: not found. */
export interface OnChain {
  readonly commitment:
    | { readonly block: number; readonly from: Hex; readonly to: Hex | undefined; readonly data: Hex; readonly success: boolean }
    | undefined;
  readonly beaconHash: Hex | undefined;
}

/** Everything about one epoch that does not fit; empty: it can be reproduced. `chain` undefined: only the arithmetic is checked. */
export const epochProblems = (keccak: Keccak256, record: AuditRecord, epoch: AuditEpoch, chain: OnChain | undefined): string[] => {
  const problems: string[] = [];
  const check = (holds: boolean, problem: string): void => void (holds || problems.push(problem));
  check(epoch.receipts.length > 0, 'it has no receipts');
  check(commitOf(keccak, epoch.seed, epoch.number) === epoch.commit, 'the seed does not give the commitment');
  if (epoch.receipts.length > 0) check(setRootOf(keccak, epoch.receipts) === epoch.setRoot, 'the receipts do not give the set root');
  check(epoch.beaconBlock === epoch.commitBlock + epoch.beaconDelayBlocks, 'the beacon is not the block that the rule names');
  for (const { digest, drawn } of epoch.receipts) {
    const again = isDrawn(keccak, { beacon: epoch.beaconHash, seed: epoch.seed, digest, rate: epoch.rate });
    check(again === drawn, `${digest} was ${drawn ? 'drawn' : 'left out'}, and should ${drawn ? 'not be' : 'be drawn'}`);
  }
  if (chain) problems.push(...chainProblems(record, epoch, chain));
  return problems;
};

const chainProblems = (record: AuditRecord, epoch: AuditEpoch, { commitment, beaconHash }: OnChain): string[] => {
  const problems: string[] = [];
  const check = (holds: boolean, problem: string): void => void (holds || problems.push(problem));
  check(beaconHash === epoch.beaconHash, `the hash of block ${epoch.beaconBlock} is ${beaconHash ?? 'unknown'}`);
  if (!commitment) return [...problems, `the commitment ${epoch.commitTx} is not on the chain`];
  check(commitment.success, 'the commitment failed');
  check(commitment.block === epoch.commitBlock, `the commitment is in block ${commitment.block}`);
  check(commitment.block < epoch.beaconBlock, 'the commitment is not older than the beacon');
  check(commitment.from === record.verifier && commitment.to === record.verifier, `the commitment is not the verifier's own`);
  check(commitment.data === commitData(epoch.commit, epoch.setRoot), 'the transaction commits to something else');
  return problems;
};

export interface EpochSummary {
  readonly number: number;
  readonly rate: number;
  readonly commit: Hex;
  readonly commitTx: Hex;
  readonly commitBlock: number;
  readonly beaconBlock: number;
  readonly beaconHash: Hex;
  readonly receipts: number;
  readonly sampled: number;
  readonly reproduced: boolean;
  readonly problems: readonly string[];
}

export interface AuditSummary {
  readonly epochs: readonly EpochSummary[];
  readonly receipts: number;
  readonly sampled: number;
  readonly undrawn: number;
  readonly passed: number;
  readonly lies: number;
  readonly suspect: number;
  readonly unverifiable: number;
  readonly pendingVerdicts: number;
  readonly disputes: { readonly upheld: number; readonly open: number; readonly failed: number; readonly falseAccusations: number };
  /** Probability that a draw at these rates misses every lie that was found. */
  readonly missEveryLie: number;
  readonly lieDigests: readonly Hex[];
}

/**
 * Draws every epoch again. A verdict stands also when its receipt was drawn by a beacon that a reorganisation took away, so that there may be
 * more verdicts than receipts sampled. `chainOf` gives what the chain says, or undefined to do without it.
 */
export const summarize = (keccak: Keccak256, record: AuditRecord, chainOf: (epoch: AuditEpoch) => OnChain | undefined): AuditSummary => {
  const epochs = record.epochs.map((epoch): EpochSummary => {
    const problems = epochProblems(keccak, record, epoch, chainOf(epoch));
    const { number, rate, commit, commitTx, commitBlock, beaconBlock, beaconHash } = epoch;
    const sampled = epoch.receipts.filter((r) => r.drawn).length;
    const about = { number, rate, commit, commitTx, commitBlock, beaconBlock, beaconHash };
    return { ...about, receipts: epoch.receipts.length, sampled, reproduced: problems.length === 0, problems };
  });
  const all = record.epochs.flatMap((epoch) => epoch.receipts.map((receipt) => ({ ...receipt, rate: epoch.rate })));
  const count = (which: z.output<typeof verdict>): number => all.filter((r) => r.verdict === which).length;
  const lies = all.filter((r) => r.verdict === 'lie');
  const disputes = (state: AuditRecord['disputes'][number]['state']): number => record.disputes.filter((d) => d.state === state).length;
  return {
    epochs,
    receipts: all.length + record.undrawn,
    sampled: all.filter((r) => r.drawn).length,
    undrawn: record.undrawn,
    passed: count('pass'),
    lies: lies.length,
    suspect: count('suspect'),
    unverifiable: count('unverifiable'),
    pendingVerdicts: all.filter((r) => r.drawn && r.verdict === undefined).length,
    disputes: {
      upheld: disputes('upheld'),
      open: disputes('open'),
      failed: disputes('failed'),
      falseAccusations: disputes('falseAccusation'),
    },
    missEveryLie: lies.reduce((p, lie) => p * (1 - lie.rate), 1),
    lieDigests: lies.map((lie) => lie.digest),
  };
};
