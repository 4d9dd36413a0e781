import type { Hex } from '@cupel/protocol/hex';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import { ceilToBase } from '@cupel/protocol/money';
import type { BaseUnits } from '@cupel/protocol/money';

import type { ChannelRow } from '../ledger/rows.ts';
import { netCharged } from '../quote/allowance.ts';

/** One row of PaymentChannels.redeem. */
export interface RedeemRow {
  readonly channelId: Hex;
  readonly descriptor: ChannelDescriptor;
  /** Cumulative base units to settle; at most `maxClaimable`. */
  readonly amount: BaseUnits;
  readonly maxClaimable: BaseUnits;
  readonly signature: Hex;
}

export interface RedeemPolicy {
  /** Unredeemed base units, over all channels of one token, from which a redeem is worth its gas. */
  readonly threshold: BaseUnits;
  /** Seconds before `closeAt` at which a closing channel is redeemed in any case. */
  readonly safetySeconds: number;
  /** Rows of one transaction. */
  readonly maxRows: number;
}

export interface RedeemSituation {
  readonly channels: Iterable<ChannelRow>;
  /** Cumulative base units by channel that are on their way or mined and not projected yet. */
  readonly underway: ReadonlyMap<Hex, BaseUnits>;
  readonly nowSeconds: number;
  /** Redeem whatever is owed: a person asked for it. */
  readonly everything: boolean;
}

/** One transaction: all rows have one payee and one token. */
export interface RedeemBatch {
  readonly payee: Hex;
  readonly token: Hex;
  readonly rows: readonly RedeemRow[];
}

/** What a channel owes on chain now: net charges rounded up once, never beyond the voucher. */
export const owedOnChain = (channel: ChannelRow): BaseUnits => {
  const owed = ceilToBase(netCharged(channel));
  return owed < channel.ceiling ? owed : channel.ceiling;
};

/**
 * What to redeem now: all that is owed once its sum reaches the threshold; a closing channel when nothing more can be charged to it or its
 * time is nearly over.
 */
export const planRedeems = (situation: RedeemSituation, policy: RedeemPolicy): readonly RedeemBatch[] => {
  const groups = new Map<string, { due: RedeemRow[]; owed: RedeemRow[]; sum: bigint }>();
  for (const channel of situation.channels) {
    const row = rowOf(channel);
    const before = situation.underway.get(channel.channelId) ?? 0n;
    const settled = channel.settled > before ? channel.settled : before;
    if (!row || row.amount <= settled) continue;
    const name = `${row.descriptor.payee}${row.descriptor.token}`;
    const group = groups.get(name) ?? { due: [], owed: [], sum: 0n };
    group.owed.push(row);
    group.sum += row.amount - settled;
    if (isUrgent(channel, situation.nowSeconds, policy)) group.due.push(row);
    groups.set(name, group);
  }
  return [...groups.values()].flatMap(({ due, owed, sum }) =>
    batches(situation.everything || sum >= policy.threshold ? owed : due, policy.maxRows),
  );
};

const rowOf = (channel: ChannelRow): RedeemRow | undefined => {
  if (channel.voucher === null || channel.status === 'closed' || channel.status === 'unknown') return undefined;
  const { channelId, descriptor, ceiling, voucher } = channel;
  return { channelId, descriptor, amount: owedOnChain(channel), maxClaimable: ceiling, signature: voucher };
};

const isUrgent = (channel: ChannelRow, nowSeconds: number, policy: RedeemPolicy): boolean =>
  channel.status === 'closing' && (channel.leased === 0n || nowSeconds >= channel.closeAt - policy.safetySeconds);

const batches = (rows: readonly RedeemRow[], size: number): RedeemBatch[] => {
  const out: RedeemBatch[] = [];
  for (let at = 0; at < rows.length; at += size) {
    const part = rows.slice(at, at + size);
    const first = part[0]!;
    out.push({ payee: first.descriptor.payee, token: first.descriptor.token, rows: part });
  }
  return out;
};

/** How a transaction ended. `unknown` and `pending` are states: the same key is asked again, never a new one. */
export type SettlementOutcome =
  | { readonly kind: 'mined'; readonly hash: Hex }
  | { readonly kind: 'reverted'; readonly hash?: Hex; readonly message: string }
  | { readonly kind: 'pending'; readonly hash: Hex }
  | { readonly kind: 'unknown'; readonly message: string };

/** `planned`: the transaction lane may know its key. `done` and `failed` are final. */
export type SettlementState = 'planned' | 'done' | 'failed';

export interface Settlement {
  /** Idempotency key of the lane. */
  readonly id: string;
  readonly batch: RedeemBatch;
  readonly state: SettlementState;
  readonly hash: Hex | null;
  readonly message: string | null;
  readonly plannedAtMs: number;
  readonly endedAtMs: number | null;
}

/** The settlement after an outcome. */
export const settled = (settlement: Settlement, outcome: SettlementOutcome, nowMs: number): Settlement => {
  switch (outcome.kind) {
    case 'mined':
      return { ...settlement, state: 'done', hash: outcome.hash, message: null, endedAtMs: nowMs };
    case 'reverted':
      return { ...settlement, state: 'failed', hash: outcome.hash ?? null, message: outcome.message, endedAtMs: nowMs };
    case 'pending':
      return { ...settlement, hash: outcome.hash };
    case 'unknown':
      return { ...settlement, message: outcome.message };
  }
};

/** How long the projection may take to show a redeem that was mined. */
const PROJECTION_LAG_MS = 120_000;

/** How long rows of a failed redeem rest, unless a person asks for them. */
const FAILED_REST_MS = 600_000;

/** Cumulative amounts that need no redeem now: on their way, mined a moment ago, or refused a while ago. */
export const underwayOf = (settlements: Iterable<Settlement>, nowMs: number, everything: boolean): Map<Hex, BaseUnits> => {
  const out = new Map<Hex, BaseUnits>();
  for (const { state, batch, endedAtMs } of settlements) {
    const age = nowMs - (endedAtMs ?? nowMs);
    const counts =
      state === 'planned' ||
      (state === 'done' ? age <= PROJECTION_LAG_MS : !everything && batch.rows.length === 1 && age <= FAILED_REST_MS);
    if (!counts) continue;
    for (const { channelId, amount } of batch.rows) if (amount > (out.get(channelId) ?? 0n)) out.set(channelId, amount);
  }
  return out;
};

/** One bad row fails a batch: its rows are tried again one by one. A single row waits for the next round instead. */
export const splitFailed = (batch: RedeemBatch): readonly RedeemBatch[] =>
  batch.rows.length < 2 ? [] : batch.rows.map((row) => ({ ...batch, rows: [row] }));
