import type { Hex } from '@cupel/protocol/hex';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import type { BaseUnits, Micro } from '@cupel/protocol/money';
import type { Refusal } from '@cupel/protocol/reasons';
import type { ReceiptEnvelope } from '@cupel/protocol/wire/receipt';

/** The ledger's records. What is written is always a whole row; nothing in them depends on anything but the decisions that made them. */

/** `unknown`: the opening is not final on chain, as far as this ledger has been told. */
export type ChannelStatus = 'unknown' | 'open' | 'closing' | 'closed';

/** A channel that pays us. */
export interface ChannelRow {
  readonly channelId: Hex;
  readonly descriptor: ChannelDescriptor;
  /** Whose API key draws on it. Fixed by the first voucher; null when the payer signs a voucher per request. */
  readonly consumerId: string | null;
  /** Highest voucher: base units that may be redeemed at most. */
  readonly ceiling: BaseUnits;
  readonly voucher: Hex | null;
  readonly charged: Micro;
  /** Given back for receipts that a dispute upheld. */
  readonly credited: Micro;
  /** Reserved by open leases and not charged yet. */
  readonly leased: Micro;
  /** `charged` when the head of the chain became stale; null while it is fresh. */
  readonly staleBase: Micro | null;
  /** Final deposit in base units. */
  readonly deposit: BaseUnits;
  /** Redeemed on chain, base units. */
  readonly settled: BaseUnits;
  /** Unix seconds from which the payer may withdraw; 0 while open. */
  readonly closeAt: number;
  readonly status: ChannelStatus;
  readonly requests: number;
  readonly registeredAtMs: number;
}

export interface LeaseRow {
  readonly leaseId: string;
  readonly channelId: Hex;
  readonly routerId: string;
  readonly amount: Micro;
  readonly charged: Micro;
  readonly expiresAtMs: number;
  readonly state: 'open' | 'released' | 'expired';
}

export interface ChargeRow {
  readonly requestId: Hex;
  /** The channel that was charged. */
  readonly channelId: Hex;
  readonly leaseId: string;
  readonly consumerId: string | null;
  /** What the receipt says. */
  readonly price: Micro;
  /** What the channel was charged: less than `price` only where the payer's ceiling did not reach. */
  readonly charged: Micro;
  /** `charged` of the channel after this one. */
  readonly cumulative: Micro;
  readonly modelId: Hex;
  readonly versionId: Hex;
  readonly publicName: string;
  readonly receiptDigest: Hex;
  readonly envelope: ReceiptEnvelope;
  /** Equal for the same charge sent twice, different for another one under the same request id. */
  readonly fingerprint: string;
  /** Gateway: the own channel that owes the provider. */
  readonly outgoingId: Hex | null;
  readonly heldAtMs: number;
}

/** What an upheld dispute gave back; one per receipt digest. */
export interface CreditRow {
  readonly receiptDigest: Hex;
  readonly requestId: Hex;
  readonly channelId: Hex;
  readonly amount: Micro;
  readonly atMs: number;
}

export interface OutgoingSession {
  /** Sealed with the payload key: it authenticates requests. */
  readonly sealedKey: Uint8Array;
  readonly keyHash: Hex;
  readonly maxUnpaid: BaseUnits;
  readonly notAfter: bigint;
  readonly signature: Hex;
}

/** A channel by which a gateway pays one provider. */
export interface OutgoingRow {
  readonly channelId: Hex;
  readonly payee: Hex;
  /** Of the models that were paid for first: one owner may change its payout. null: opened before this was written down. */
  readonly owner: Hex | null;
  readonly descriptor: ChannelDescriptor;
  /** `retiring`: nothing more is signed on it, and its exit is to be started on chain. */
  readonly status: 'opening' | 'retiring' | ChannelStatus;
  /** Final deposit on chain. */
  readonly deposit: BaseUnits;
  /** Redeemed on chain by the provider, base units. */
  readonly settled: BaseUnits;
  /** Deposit once every transaction on its way has been mined. */
  readonly plannedDeposit: BaseUnits;
  /** Counts top-ups: part of their idempotency key. */
  readonly topUps: number;
  /** Highest amount ever signed: never sign less. */
  readonly signedMax: BaseUnits;
  /** Sum of the prices of receipts that fit. */
  readonly receipted: Micro;
  /** Highest `cumulative` that a receipt showed; more than `receipted` means a bill that never came. */
  readonly lastCumulative: Micro;
  readonly session: OutgoingSession;
  readonly createdAtMs: number;
  /** When an amount was signed or a bill came last. */
  readonly usedAtMs: number;
}

/** The RECEIPTS stream is to be told of this charge, once it is durable. */
export interface OutboxRow {
  readonly requestId: Hex;
  readonly heldAtMs: number;
}

/** Salted input and output of one answer, sealed. */
export interface PayloadRow {
  readonly requestId: Hex;
  readonly sealed: Uint8Array;
  readonly expiresAtMs: number;
}

export interface ConsumerRow {
  readonly consumerId: string;
  readonly name: string;
  /** Hex without 0x; the key itself is shown once and kept nowhere. */
  readonly apiKeySha256: string;
  readonly createdAtMs: number;
}

export type Change =
  | { readonly table: 'channels'; readonly row: ChannelRow }
  | { readonly table: 'leases'; readonly row: LeaseRow }
  | { readonly table: 'charges'; readonly row: ChargeRow }
  | { readonly table: 'credits'; readonly row: CreditRow }
  | { readonly table: 'outgoing'; readonly row: OutgoingRow }
  | { readonly table: 'outbox'; readonly row: OutboxRow }
  | { readonly table: 'payloads'; readonly row: PayloadRow }
  | { readonly table: 'consumers'; readonly row: ConsumerRow };

/** What a decision may look at. Reads see every decision before this one, committed or not. */
export interface LedgerView {
  channel(channelId: Hex): ChannelRow | undefined;
  lease(leaseId: string): LeaseRow | undefined;
  /** Leases in state open. */
  openLeases(): Iterable<LeaseRow>;
  charge(requestId: Hex): ChargeRow | undefined;
  chargeOf(receiptDigest: Hex): ChargeRow | undefined;
  credit(receiptDigest: Hex): CreditRow | undefined;
  outgoing(channelId: Hex): OutgoingRow | undefined;
  /** All own channels, closed ones too. */
  allOutgoing(): Iterable<OutgoingRow>;
}

export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };

/** An outcome and the rows that make it true: they are written together or not at all. A refusal changes nothing. */
export type Decision<T> =
  | { readonly ok: true; readonly value: T; readonly changes: readonly Change[] }
  | { readonly ok: false; readonly refusal: Refusal; readonly changes: readonly [] };

export const decided = <T>(value: T, ...changes: Change[]): Decision<T> => ({ ok: true, value, changes });
export const refused = (refusal: Refusal): Decision<never> => ({ ok: false, refusal, changes: [] });

/** Runs decisions one after the other; resolves only when the rows are on disk. */
export interface Ledger {
  submit<T>(decide: (view: LedgerView) => Decision<T>): Promise<Result<T>>;
}
