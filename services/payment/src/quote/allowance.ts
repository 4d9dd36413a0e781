import { baseUnits, ceilToBase, micro, MICRO_PER_BASE } from '@cupel/protocol/money';
import type { BaseUnits, Micro } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';

/** The sums of one channel that pays us. */
export interface ChannelSums {
  readonly ceiling: BaseUnits;
  readonly deposit: BaseUnits;
  readonly charged: Micro;
  readonly credited: Micro;
  readonly leased: Micro;
  readonly staleBase: Micro | null;
}

/** What a payee risks while it cannot see the chain: base units per channel, charged or leased since the head went stale. */
export interface Exposure {
  readonly stale: boolean;
  readonly limit: BaseUnits;
}

const atLeastZero = (n: bigint): bigint => (n < 0n ? 0n : n);
const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** Charged less what was given back: what the payee may redeem. Never below 0. */
export const netCharged = (c: Pick<ChannelSums, 'charged' | 'credited'>): Micro => micro(atLeastZero(c.charged - c.credited));

/** Micro that neither a charge nor a lease has taken: the voucher's ceiling or the deposit, whichever is lower, less both. */
export const unreserved = (c: ChannelSums): Micro =>
  micro(atLeastZero(least(c.ceiling, c.deposit) * MICRO_PER_BASE - (c.charged - c.credited) - c.leased));

/** Micro that may still be leased or charged while the head is stale; undefined: no limit, the head is fresh. */
export const exposureLeft = (c: ChannelSums, exposure: Exposure): Micro | undefined =>
  exposure.stale ? micro(atLeastZero(exposure.limit * MICRO_PER_BASE - (c.charged - (c.staleBase ?? c.charged)) - c.leased)) : undefined;

/** The most that one more lease or charge may take. */
export const takeable = (c: ChannelSums, exposure: Exposure): Micro => {
  const left = exposureLeft(c, exposure);
  return left === undefined ? unreserved(c) : micro(least(unreserved(c), left));
};

/** The voucher, in base units, with which `need` more micro would be covered. */
export const requiredCeiling = (c: ChannelSums, need: Micro): BaseUnits =>
  ceilToBase(micro(atLeastZero(c.charged - c.credited) + c.leased + need));

/** Why `need` cannot be taken; undefined when it can. */
export const shortfall = (c: ChannelSums, exposure: Exposure, need: Micro): Refusal | undefined => {
  if (unreserved(c) < need) {
    const required = requiredCeiling(c, need);
    const missing = baseUnits(atLeastZero(required - c.ceiling));
    if (missing === 0n) {
      return refuse(
        'insufficient_voucher',
        `the deposit of ${c.deposit} base units is short; ${required} are required, top the channel up`,
        {
          required,
          missing: baseUnits(atLeastZero(required - c.deposit)),
        },
      );
    }
    const deposit = required > c.deposit ? `, and the deposit of ${c.deposit} must be topped up first` : '';
    return refuse(
      'insufficient_voucher',
      `the voucher covers ${c.ceiling} base units; ${missing} more are needed, ${required} in all${deposit}`,
      {
        required,
        missing,
      },
    );
  }
  const left = exposureLeft(c, exposure);
  if (left === undefined || left >= need) return undefined;
  const missing = ceilToBase(micro(need - left));
  return refuse(
    'exposure_reached',
    `the chain has not been seen for a while, and this channel has used up the ${exposure.limit} base units that are served meanwhile; ${missing} are missing`,
    { missing },
  );
};
