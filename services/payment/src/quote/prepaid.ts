import { addMicro, baseUnits, ceilToBase, MICRO_PER_BASE } from '@cupel/protocol/money';
import type { BaseUnits, Micro } from '@cupel/protocol/money';

/** Bounds of what a gateway signs for one provider, base units. */
export interface PrepaidLimits {
  /** Most that may be signed beyond what receipts show: the payer's exposure. */
  readonly maxPrepaid: BaseUnits;
  /** Signed beyond the need, so that not every request asks for a voucher. */
  readonly headroom: BaseUnits;
}

export interface OutgoingSums {
  readonly signedMax: BaseUnits;
  readonly receipted: Micro;
  /** Highest `cumulative` of a receipt: what the provider counts, bills that never came included. */
  readonly lastCumulative: Micro;
  /** Final deposit. */
  readonly deposit: BaseUnits;
}

export type VoucherQuote =
  | { readonly kind: 'sign'; readonly amount: BaseUnits }
  | { readonly kind: 'prepaid-limit'; readonly required: BaseUnits; readonly limit: BaseUnits }
  | { readonly kind: 'deposit-short'; readonly required: BaseUnits };

/** What one channel may still cost beyond its receipts. */
export interface SignedSums {
  readonly status: string;
  readonly signedMax: BaseUnits;
  /** Redeemed on chain. */
  readonly settled: BaseUnits;
  readonly receipted: Micro;
}

/** Base units that the provider has, or may still redeem, and that no receipt shows. A closed channel has paid what was settled, no more. */
export const unreceipted = (c: SignedSums): BaseUnits => {
  const most = c.status === 'closed' ? c.settled : c.signedMax;
  const shown = ceilToBase(c.receipted);
  return baseUnits(most > shown ? most - shown : 0n);
};

/** A provider's unreceipted money, over all its channels: at most this many times `maxPrepaid`, … */
const LOSSES = 2n;
/** … and one part in so many of what its receipts show: bills get lost in long and honest business too. */
const LOSS_SHARE = 100n;

/**
 * What may be signed on one channel beyond its receipts, given the `others` of the same provider (by owner or payee), retired ones too: a new
 * channel, or a new payout address, does not begin at nothing lost.
 */
export const prepaidFor = (limits: PrepaidLimits, own: SignedSums, others: readonly SignedSums[]): BaseUnits => {
  const receipted = [own, ...others].reduce((sum, c) => sum + c.receipted, 0n);
  const lost = others.reduce((sum, c) => sum + unreceipted(c), 0n);
  const left = LOSSES * limits.maxPrepaid + receipted / MICRO_PER_BASE / LOSS_SHARE - lost;
  return baseUnits(left <= 0n ? 0n : left < limits.maxPrepaid ? left : limits.maxPrepaid);
};

/** Is most of what may be prepaid gone without receipts? A channel that stays so is given up for a new one. */
export const isUsedUp = (c: OutgoingSums, limits: PrepaidLimits): boolean => {
  const counted = ceilToBase(countedByProvider(c));
  const most = counted > c.signedMax ? counted : c.signedMax;
  return (most - ceilToBase(c.receipted)) * 2n >= limits.maxPrepaid;
};

/** Where the next voucher starts from: what the provider has counted at least. */
export const countedByProvider = (c: Pick<OutgoingSums, 'receipted' | 'lastCumulative'>): Micro =>
  c.lastCumulative > c.receipted ? c.lastCumulative : c.receipted;

/** The voucher that covers `need` micro beyond what the provider has counted; never lower than one that was signed before. */
export const quoteVoucher = (c: OutgoingSums, need: Micro, limits: PrepaidLimits): VoucherQuote => {
  const required = ceilToBase(addMicro(countedByProvider(c), need));
  const limit = baseUnits(c.receipted / MICRO_PER_BASE + limits.maxPrepaid);
  // What was signed before is the provider's already, also where the limit has fallen since: to sign it again risks nothing more.
  if (required <= c.signedMax && required <= c.deposit) return { kind: 'sign', amount: c.signedMax };
  if (required > limit) return { kind: 'prepaid-limit', required, limit };
  if (required > c.deposit) return { kind: 'deposit-short', required };
  const wished = baseUnits(required + limits.headroom);
  return { kind: 'sign', amount: [wished, limit, c.deposit].reduce((a, b) => (b < a ? b : a)) };
};

/** Is it time for more deposit? Half of a `portion` must be unsigned, so that a top-up is final before it is needed. */
export const needsTopUp = (c: { readonly signedMax: BaseUnits; readonly plannedDeposit: BaseUnits }, portion: BaseUnits): boolean =>
  (c.plannedDeposit - c.signedMax) * 2n < portion;
