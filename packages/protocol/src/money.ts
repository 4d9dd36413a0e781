/**
 * Money is a branded bigint, never a number.
 *
 * A token amount is counted in **base units** (the token's smallest unit). Prices are so small that a ledger counts in **micro**: one
 * millionth of a base unit. A micro amount is rounded up to base units once, when it becomes a voucher or a redeem.
 */

declare const unit: unique symbol;

/** Base units of a token; ≥ 0. */
export type BaseUnits = bigint & { readonly [unit]: 'base' };

/** Millionths of a base unit; ≥ 0. */
export type Micro = bigint & { readonly [unit]: 'micro' };

export const MICRO_PER_BASE = 1_000_000n;

const UINT128_MAX = (1n << 128n) - 1n;

export class AmountError extends Error {
  override readonly name = 'AmountError';
  readonly value: string;
  constructor(message: string, value: string) {
    super(message);
    this.value = value;
  }
}

const bounded = (value: bigint, what: string): bigint => {
  if (value < 0n) throw new AmountError(`${what} must not be negative, got ${value}`, String(value));
  if (value > UINT128_MAX) throw new AmountError(`${what} does not fit 128 bits, got ${value}`, String(value));
  return value;
};

/** Checks that `value` is 0 … 2^128−1. Throws {@link AmountError}. */
export const baseUnits = (value: bigint): BaseUnits => bounded(value, 'an amount') as BaseUnits;

/** Checks that `value` is 0 … 2^128−1. Throws {@link AmountError}. */
export const micro = (value: bigint): Micro => bounded(value, 'a micro amount') as Micro;

export const ZERO_BASE = baseUnits(0n);
export const ZERO_MICRO = micro(0n);

export const toMicro = (amount: BaseUnits): Micro => micro(amount * MICRO_PER_BASE);

/** Rounds up: what is owed is never paid short. */
export const ceilToBase = (amount: Micro): BaseUnits => baseUnits((amount + MICRO_PER_BASE - 1n) / MICRO_PER_BASE);

export const addMicro = (a: Micro, b: Micro): Micro => micro(a + b);

/** Throws {@link AmountError} when `b` exceeds `a`. */
export const subtractMicro = (a: Micro, b: Micro): Micro => micro(a - b);

/** Price list of one model; base units per 1,000,000 tokens are at the same time micro per token. */
export interface Prices {
  readonly inputPerMillion: BaseUnits;
  readonly outputPerMillion: BaseUnits;
  readonly perRequest: BaseUnits;
}

/** The price of one answer in micro. `inputUnits`, `outputUnits`: tokens, or bytes for an integer model. */
export const priceOf = (prices: Prices, inputUnits: bigint, outputUnits: bigint): Micro =>
  micro(inputUnits * prices.inputPerMillion + outputUnits * prices.outputPerMillion + prices.perRequest * MICRO_PER_BASE);

/**
 * Reads a decimal string such as "0.25" as base units of a token with `decimals` places. Throws {@link AmountError} for anything but plain
 * digits with at most `decimals` places.
 */
export const parseDecimal = (text: string, decimals: number): BaseUnits => {
  const match = /^(\d{1,39})(?:\.(\d+))?$/.exec(text);
  const fraction = match?.[2] ?? '';
  if (!match || fraction.length > decimals) {
    throw new AmountError(`"${text}" is not a decimal number with at most ${decimals} places`, text);
  }
  return baseUnits(BigInt(match[1]! + fraction.padEnd(decimals, '0')));
};

/** The inverse of {@link parseDecimal}, without trailing zeros: 250000 with 6 decimals is "0.25". */
export const formatDecimal = (amount: bigint, decimals: number): string => {
  const digits = amount.toString().padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '');
  return fraction ? `${whole}.${fraction}` : whole;
};
