import type { Hex } from '@cupel/protocol/hex';
import type { ReceiptEvent } from '@cupel/protocol/wire/bus';

import type { Defence } from './defend/finding.ts';
import type { Dispute, DisputeState, StoredConsent } from './dispute/decide.ts';
import type { Tally } from './judge/reputation.ts';
import type { Sequence } from './judge/sequence.ts';
import type { Judgement } from './judge/verdict.ts';
import type { Held } from './sample/epoch.ts';

/** closed: the set is fixed. committed: the commitment is in a block. drawn: by the beacon. final: both blocks are. */
export type EpochState = 'closed' | 'committed' | 'drawn' | 'final';

export interface Commitment {
  readonly tx: Hex;
  readonly block: number;
}

export interface Beacon {
  readonly block: number;
  readonly hash: Hex;
}

export interface Epoch {
  readonly number: number;
  readonly state: EpochState;
  /** Secret until the epoch is drawn. */
  readonly seed: Hex;
  readonly rate: number;
  readonly beaconDelayBlocks: number;
  readonly commit: Hex;
  readonly setRoot: Hex;
  readonly commitment: Commitment | undefined;
  readonly beacon: Beacon | undefined;
}

export interface Waiting {
  readonly receipts: number;
  /** Unix milliseconds at which the oldest of them arrived here. */
  readonly oldestMs: number;
}

/** A verdict with all that follows from it, written at once. */
export interface VerdictRow extends Judgement {
  readonly digest: Hex;
  readonly modelId: Hex;
  readonly atMs: number;
  readonly sequence: Sequence | undefined;
  readonly accuse: boolean;
}

export interface ModelTally {
  readonly modelId: Hex;
  readonly tally: Tally;
}

/** What the verifier remembers. Every method returns only when what it says is on disk; every change may be repeated after a crash. */
export interface VerifierState {
  /** False: a receipt of this request is held already. */
  hold(event: ReceiptEvent, nowMs: number): boolean;
  /** undefined: never held, or nothing can be asked of it any more. */
  event(digest: Hex): ReceiptEvent | undefined;
  /** Drops the envelopes of receipts held before this time (unix milliseconds); digests, draws and verdicts stay. */
  forgetBefore(ms: number): number;
  /** Receipts in no epoch. */
  waiting(): Waiting;

  /** Receipts in no epoch, or in the given one. */
  heldIn(epoch: number | undefined): readonly Held[];
  lastEpoch(): number;
  /** Writes the epoch and puts its receipts into it. */
  closeEpoch(epoch: Epoch, digests: readonly Hex[], nowMs: number): void;
  /** Epochs that are not final. */
  openEpochs(): readonly Epoch[];
  /** Forgets a beacon that it had. */
  setCommitment(epoch: number, commitment: Commitment): void;
  setDraw(epoch: number, beacon: Beacon, drawn: readonly Hex[]): void;
  setFinal(epoch: number): void;

  /** Digests drawn and without a verdict, in order of their epochs. */
  pendingVerdicts(limit: number): readonly { readonly digest: Hex; readonly modelId: Hex }[];
  /** The first verdict on a receipt stands; false: there was one. */
  putVerdict(row: VerdictRow): boolean;
  sequence(modelId: Hex): Sequence;
  tallies(): readonly ModelTally[];

  dispute(digest: Hex): Dispute | undefined;
  dueDisputes(): readonly Dispute[];
  putConsent(digest: Hex, consent: StoredConsent | undefined): void;
  putRuling(digest: Hex, state: DisputeState, spent: boolean, message: string, tx: Hex | undefined, nowMs: number): void;

  /** Models of which this party holds receipts. */
  models(): ReadonlySet<Hex>;
  defended(digest: Hex): boolean;
  putDefence(digest: Hex, modelId: Hex, tx: Hex, defence: Defence, nowMs: number): void;
}
