import type { Hex } from '@cupel/protocol/hex';
import { channelState, claimState, disputeState, mode, prices } from '@cupel/protocol/wire/projections';
import { address, bytes32, decimal } from '@cupel/protocol/wire/scalars';
import { z } from 'zod';

/** What the watcher knows of the chain, one row per thing; the key-value entries are made of these. */
export const rowSchemas = {
  /** Key: owner. */
  providers: z.object({ operator: address, payout: address }),
  /** Key: modelId. Grows over the events of one registration. */
  models: z.object({
    modelId: bytes32,
    owner: address,
    slug: z.string(),
    version: z
      .object({ versionId: bytes32, number: z.number(), manifestHash: bytes32, verificationRoot: bytes32, mode, arbiter: address })
      .optional(),
    prices: prices.optional(),
    endpoint: z.string(),
    specializations: z.array(z.string()),
    status: z.enum(['active', 'retired', 'suspended']),
    faults: z.number(),
    registeredAtBlock: z.number(),
  }),
  /** Key: modelId. */
  stakes: z.object({
    free: decimal,
    locked: decimal,
    unbonding: decimal,
    unbondEnd: z.number(),
    bond: decimal,
    slashed: decimal,
  }),
  channels: channelState,
  claims: claimState,
  disputes: disputeState,
} as const;

export type Table = keyof typeof rowSchemas;
export const TABLES = Object.keys(rowSchemas) as Table[];
export type Row<T extends Table> = z.output<(typeof rowSchemas)[T]>;
export type AnyRow = Row<Table>;

/** A row before and after one block; undefined: it did not, or does not, exist. `before` is the way back. */
export interface Change {
  readonly table: Table;
  readonly key: Hex;
  readonly before: AnyRow | undefined;
  readonly after: AnyRow | undefined;
}

/** Read access to all rows as they are. */
export interface Rows {
  get<T extends Table>(table: T, key: Hex): Row<T> | undefined;
  all<T extends Table>(table: T): ReadonlyMap<Hex, Row<T>>;
}
