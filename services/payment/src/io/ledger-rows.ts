import type { Hex } from '@cupel/protocol/hex';
import { baseUnits, micro } from '@cupel/protocol/money';
import type { BaseUnits, Micro } from '@cupel/protocol/money';
import { channelDescriptor, receiptEnvelope } from '@cupel/protocol/wire/receipt';
import type { SQLOutputValue } from 'node:sqlite';
import { z } from 'zod';

import type { ChannelRow, ChargeRow, CreditRow, LeaseRow, OutgoingRow } from '../ledger/rows.ts';
import type { Claim } from '../settle/claims.ts';
import type { Settlement } from '../settle/redeem.ts';
import { LedgerError } from './ledger-schema.ts';

/** Rows as SQLite returns them, turned into the ledger's records. A value of a wrong type means a damaged file and throws. */
export type SqlRow = Record<string, SQLOutputValue>;

const value = (row: SqlRow, column: string): SQLOutputValue => {
  const found = row[column];
  if (found === undefined) throw new LedgerError(`the ledger has no column ${column}`);
  return found;
};

const damaged = (column: string): LedgerError =>
  new LedgerError(`the ledger's column ${column} holds a value of a wrong type; restore the file`);

export const text = (row: SqlRow, column: string): string => {
  const found = value(row, column);
  if (typeof found !== 'string') throw damaged(column);
  return found;
};

export const maybeText = (row: SqlRow, column: string): string | null => (value(row, column) === null ? null : text(row, column));

export const integer = (row: SqlRow, column: string): number => {
  const found = value(row, column);
  if (typeof found !== 'number') throw damaged(column);
  return found;
};

export const maybeInteger = (row: SqlRow, column: string): number | null => (value(row, column) === null ? null : integer(row, column));

export const blob = (row: SqlRow, column: string): Uint8Array => {
  const found = value(row, column);
  if (!(found instanceof Uint8Array)) throw damaged(column);
  return found;
};

export const hex = (row: SqlRow, column: string): Hex => {
  const found = text(row, column);
  if (!found.startsWith('0x')) throw damaged(column);
  return found as Hex;
};

const maybeHex = (row: SqlRow, column: string): Hex | null => (value(row, column) === null ? null : hex(row, column));
const inBase = (row: SqlRow, column: string): BaseUnits => baseUnits(BigInt(text(row, column)));
const inMicro = (row: SqlRow, column: string): Micro => micro(BigInt(text(row, column)));
const oneOf = <const T extends string>(row: SqlRow, column: string, allowed: readonly T[]): T => {
  const found = allowed.find((a) => a === row[column]);
  if (found === undefined) throw damaged(column);
  return found;
};
const json = <S extends z.ZodType>(row: SqlRow, column: string, schema: S): z.output<S> => schema.parse(JSON.parse(text(row, column)));

const CHANNEL_STATUS = ['unknown', 'open', 'closing', 'closed'] as const;

/** Of channels left-joined with vouchers. */
export const channelOf = (row: SqlRow): ChannelRow => ({
  channelId: hex(row, 'channel_id'),
  descriptor: json(row, 'descriptor', channelDescriptor),
  consumerId: maybeText(row, 'consumer_id'),
  ceiling: value(row, 'max_claimable') === null ? baseUnits(0n) : inBase(row, 'max_claimable'),
  voucher: maybeHex(row, 'signature'),
  charged: inMicro(row, 'charged'),
  credited: inMicro(row, 'credited'),
  leased: inMicro(row, 'leased'),
  staleBase: value(row, 'stale_base') === null ? null : inMicro(row, 'stale_base'),
  deposit: inBase(row, 'deposit'),
  settled: inBase(row, 'settled'),
  closeAt: integer(row, 'close_at_seconds'),
  status: oneOf(row, 'status', CHANNEL_STATUS),
  requests: integer(row, 'requests'),
  registeredAtMs: integer(row, 'registered_at'),
});

export const leaseOf = (row: SqlRow): LeaseRow => ({
  leaseId: text(row, 'lease_id'),
  channelId: hex(row, 'channel_id'),
  routerId: text(row, 'router_id'),
  amount: inMicro(row, 'amount'),
  charged: inMicro(row, 'charged'),
  expiresAtMs: integer(row, 'expires_at'),
  state: oneOf(row, 'state', ['open', 'released', 'expired']),
});

export const chargeOf = (row: SqlRow): ChargeRow => ({
  requestId: hex(row, 'request_id'),
  channelId: hex(row, 'channel_id'),
  leaseId: text(row, 'lease_id'),
  consumerId: maybeText(row, 'consumer_id'),
  price: inMicro(row, 'price'),
  charged: inMicro(row, 'charged'),
  cumulative: inMicro(row, 'cumulative'),
  modelId: hex(row, 'model_id'),
  versionId: hex(row, 'version_id'),
  publicName: text(row, 'public_name'),
  receiptDigest: hex(row, 'receipt_digest'),
  envelope: json(row, 'envelope', receiptEnvelope),
  fingerprint: text(row, 'fingerprint'),
  outgoingId: maybeHex(row, 'outgoing_id'),
  heldAtMs: integer(row, 'held_at'),
});

export const creditOf = (row: SqlRow): CreditRow => ({
  receiptDigest: hex(row, 'receipt_digest'),
  requestId: hex(row, 'request_id'),
  channelId: hex(row, 'channel_id'),
  amount: inMicro(row, 'amount'),
  atMs: integer(row, 'at'),
});

/** Of outgoing joined with sessions. */
export const outgoingOf = (row: SqlRow): OutgoingRow => ({
  channelId: hex(row, 'channel_id'),
  payee: hex(row, 'payee'),
  owner: maybeHex(row, 'owner'),
  descriptor: json(row, 'descriptor', channelDescriptor),
  status: oneOf(row, 'status', ['opening', 'retiring', ...CHANNEL_STATUS]),
  deposit: inBase(row, 'deposit'),
  settled: inBase(row, 'settled'),
  plannedDeposit: inBase(row, 'planned_deposit'),
  topUps: integer(row, 'top_ups'),
  signedMax: inBase(row, 'signed_max'),
  receipted: inMicro(row, 'receipted'),
  lastCumulative: inMicro(row, 'last_cumulative'),
  session: {
    sealedKey: blob(row, 'sealed_key'),
    keyHash: hex(row, 'key_hash'),
    maxUnpaid: inBase(row, 'max_unpaid'),
    notAfter: BigInt(text(row, 'not_after')),
    signature: hex(row, 'signature'),
  },
  createdAtMs: integer(row, 'created_at'),
  usedAtMs: integer(row, 'used_at'),
});

const amount = z.string().transform((s) => baseUnits(BigInt(s)));
const hexText = z.string().transform((s) => s as Hex);
const batch = z.object({
  payee: hexText,
  token: hexText,
  rows: z.array(z.object({ channelId: hexText, descriptor: channelDescriptor, amount, maxClaimable: amount, signature: hexText })),
});

export const settlementOf = (row: SqlRow): Settlement => ({
  id: text(row, 'id'),
  batch: json(row, 'batch', batch),
  state: oneOf(row, 'state', ['planned', 'done', 'failed']),
  hash: maybeHex(row, 'hash'),
  message: maybeText(row, 'message'),
  plannedAtMs: integer(row, 'planned_at'),
  endedAtMs: maybeInteger(row, 'ended_at'),
});

export const claimOf = (row: SqlRow): Claim => ({
  claimId: hex(row, 'claim_id'),
  versionId: hex(row, 'version_id'),
  root: hex(row, 'root'),
  count: integer(row, 'count'),
  maxPrice: inMicro(row, 'max_price'),
  state: oneOf(row, 'state', ['planned', 'posted']),
  tx: maybeHex(row, 'tx'),
  plannedAtMs: integer(row, 'planned_at'),
});
