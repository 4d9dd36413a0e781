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

/** Where the next voucher starts from: what the provider has counted at least. */
export const countedByProvider = (c: Pick<OutgoingSums, 'receipted' | 'lastCumulative'>): Micro =>
  c.lastCumulative > c.receipted ? c.lastCumulative : c.receipted;

/** The voucher that covers `need` micro beyond what the provider has counted; never lower than one that was signed before. */
export const quoteVoucher = (c: OutgoingSums, need: Micro, limits: PrepaidLimits): VoucherQuote => {
  const required = ceilToBase(addMicro(countedByProvider(c), need));
  const limit = baseUnits(c.receipted / MICRO_PER_BASE + limits.maxPrepaid);
  if (required > limit) return { kind: 'prepaid-limit', required, limit };
  if (required > c.deposit) return { kind: 'deposit-short', required };
  if (required <= c.signedMax) return { kind: 'sign', amount: c.signedMax };
  const wished = baseUnits(required + limits.headroom);
  return { kind: 'sign', amount: [wished, limit, c.deposit].reduce((a, b) => (b < a ? b : a)) };
};

/** Is it time for more deposit? Half of a `portion` must be unsigned, so that a top-up is final before it is needed. */
export const needsTopUp = (c: { readonly signedMax: BaseUnits; readonly plannedDeposit: BaseUnits }, portion: BaseUnits): boolean =>
  (c.plannedDeposit - c.signedMax) * 2n < portion;
