import type { Hex } from '@cupel/protocol/hex';

/** One signed variant of a transaction; variants of an entry share nonce and effect and differ in fees. */
export interface Attempt {
  readonly hash: Hex;
  readonly raw: Hex;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
  /** Head when it was broadcast first. */
  readonly atBlock: number;
}

/** `intended`: recorded, no nonce yet. `sent`: signed, perhaps broadcast. `mined`: in a block that may still vanish. `final`: settled for good. */
export type EntryState = 'intended' | 'sent' | 'mined' | 'final';

export interface JournalEntry {
  /** Idempotency key, unique in the lane. */
  readonly key: string;
  /** `<chainId>:<address>` */
  readonly lane: string;
  /** For people and metrics: "redeem", "challenge". */
  readonly purpose: string;
  readonly to: Hex;
  readonly data: Hex;
  readonly value: bigint;
  readonly gas: bigint;
  readonly state: EntryState;
  readonly nonce?: number;
  readonly attempts: readonly Attempt[];
  /** Set in states mined and final. */
  readonly mined?: { readonly hash: Hex; readonly blockNumber: number; readonly blockHash: Hex; readonly success: boolean };
  readonly createdAtMs: number;
}

/** Durable memory of a lane. Every method returns only when what it says is on disk. */
export interface TransactionJournal {
  get(lane: string, key: string): JournalEntry | undefined;
  /** Entries that are not `final`, oldest first. */
  open(lane: string): readonly JournalEntry[];
  /** Inserts or replaces. */
  put(entry: JournalEntry): void;
  /** Forgets an entry that never got a nonce. */
  remove(lane: string, key: string): void;
}
