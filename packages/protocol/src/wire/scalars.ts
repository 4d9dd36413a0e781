import { z } from 'zod';

import { baseUnits, micro } from '../money.ts';
import type { Hex } from '../hex.ts';

const hexOf = (bytes: number) =>
  z
    .string()
    .regex(new RegExp(`^0x[0-9a-fA-F]{${2 * bytes}}$`), `must be 0x and ${2 * bytes} hex digits`)
    .transform((s) => s.toLowerCase() as Hex);

export const bytes32 = hexOf(32);
export const address = hexOf(20);
/** EIP-2098 compact signature. */
export const signature = hexOf(64);
export const hexBytes = z
  .string()
  .regex(/^0x(?:[0-9a-fA-F]{2})*$/, 'must be 0x and hex digits')
  .transform((s) => s.toLowerCase() as Hex);
/** sha256 without 0x, as in manifests. */
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits');

/** A non-negative integer as a decimal string: bigints on the wire. */
export const decimal = z
  .string()
  .regex(/^\d{1,39}$/, 'must be a decimal string of a non-negative integer')
  .transform((s) => BigInt(s));
/** Amounts have 128 bits in every signed message. */
const amount = decimal.refine((n) => n < 1n << 128n, 'must fit 128 bits');
export const baseAmount = amount.transform((n) => baseUnits(n));
export const microAmount = amount.transform((n) => micro(n));

export const publicName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$/, 'must be 1 to 100 letters, digits, ".", "_", "/" or "-"');

export const httpUrl = z
  .string()
  .max(2048)
  .refine(
    (s) => /^https?:\/\/[^\s]+$/.test(s) && URL.canParse(s) && !new URL(s).username && !new URL(s).password,
    'must be an http(s) URL without credentials',
  );

export const version1 = z.literal(1);

/** JSON with bigints as decimal strings: what every schema here reads back. */
export const encodeJson = (value: unknown): string =>
  JSON.stringify(value, (_key, v: unknown) => (typeof v === 'bigint' ? v.toString() : v));
