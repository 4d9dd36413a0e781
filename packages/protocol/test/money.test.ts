import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { AmountError, baseUnits, ceilToBase, formatDecimal, micro, parseDecimal, priceOf, toMicro } from '../src/money.ts';

const amount = fc.bigInt({ min: 0n, max: (1n << 100n) - 1n });

describe('rounding', () => {
  test('ceil never pays short and never a whole unit too much', () => {
    fc.assert(
      fc.property(amount, (n) => {
        const base = ceilToBase(micro(n));
        expect(base * 1_000_000n).toBeGreaterThanOrEqual(n);
        expect(base * 1_000_000n - n).toBeLessThan(1_000_000n);
      }),
    );
  });

  test('the sum is rounded once: many small answers cost less than a unit each', () => {
    const price = priceOf({ inputPerMillion: baseUnits(3n), outputPerMillion: baseUnits(7n), perRequest: baseUnits(0n) }, 11n, 13n);
    expect(price).toBe(124n);
    expect(ceilToBase(micro(price * 1000n))).toBe(1n);
  });
});

describe('decimals', () => {
  test('parse and format are inverse', () => {
    fc.assert(
      fc.property(amount, fc.integer({ min: 0, max: 18 }), (n, decimals) => {
        expect(parseDecimal(formatDecimal(n, decimals), decimals)).toBe(n);
      }),
    );
  });

  test.each(['-1', '1e3', '0x10', '', ' 1', '1.', '.5', '1.2345678', '1,5'])('refuses %j with the text in the message', (text) => {
    expect(() => parseDecimal(text, 6)).toThrow(AmountError);
    expect(() => parseDecimal(text, 6)).toThrow(JSON.stringify(text).slice(1, -1));
  });
});

test('a negative or a too large amount does not become money', () => {
  expect(() => baseUnits(-1n)).toThrow('must not be negative');
  expect(() => micro(1n << 128n)).toThrow('does not fit 128 bits');
  expect(() => toMicro(baseUnits((1n << 128n) - 1n))).toThrow('does not fit 128 bits');
});
