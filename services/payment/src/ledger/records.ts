import type { Hex } from '@cupel/protocol/hex';

import type { Claim, UnclaimedReceipt } from '../settle/claims.ts';
import type { Settlement } from '../settle/redeem.ts';
import type { ChannelRow, ChargeRow, ConsumerRow, CreditRow, Ledger, LedgerView, OutgoingRow } from './rows.ts';

/** Everything in the ledger's file that no decision needs. Reads are immediate; the methods named `put…`, `mark…` and `sweep…` write, and run inside `ledger.write`. */
export interface LedgerRecords {
  consumerOf(apiKeySha256: string): ConsumerRow | undefined;
  consumers(): readonly ConsumerRow[];
  /** Charges of one consumer, or of all, after a sequence number. */
  charges(after: number, limit: number, consumerId?: string): readonly { readonly sequence: number; readonly row: ChargeRow }[];
  /** Sealed payload, unless its time is over. */
  payload(requestId: Hex, nowMs: number): Uint8Array | undefined;
  sweepPayloads(nowMs: number): number;
  /** Charges of which the stream has not been told, oldest first. */
  unpublished(limit: number): readonly ChargeRow[];
  unpublishedCount(): number;
  markPublished(requestIds: readonly Hex[], nowMs: number): void;
  /** All that were held since are to be told again: the stream was lost. */
  markUnpublished(sinceMs: number): number;
  sweepOutbox(beforeMs: number): number;
  /** Leases that ended before. */
  sweepLeases(beforeMs: number): number;
  settlements(): readonly Settlement[];
  putSettlement(settlement: Settlement): void;
  unclaimed(limit: number): readonly UnclaimedReceipt[];
  claims(state: Claim['state']): readonly Claim[];
  /** The claim and, when it is new, the receipts that it holds. */
  putClaim(claim: Claim, receipts: readonly UnclaimedReceipt[]): void;
  /** Receipts that will never be claimed. */
  markUnarbitrated(receipts: readonly UnclaimedReceipt[]): void;
  credits(): readonly CreditRow[];
  /** A number kept under a name; 0 at first. */
  mark(name: string): number;
  putMark(name: string, value: number): void;
}

/** The ledger as the service uses it. */
export interface LedgerStore extends Ledger {
  /** Committed state. */
  readonly view: LedgerView;
  channels(): Iterable<ChannelRow>;
  channelsOf(consumerId: string): Iterable<ChannelRow>;
  outgoing(): Iterable<OutgoingRow>;
  readonly records: LedgerRecords;
  /** Runs `write` in the next commit; resolves when it is on disk. */
  write<T>(write: () => T): Promise<T>;
}
