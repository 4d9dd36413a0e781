import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { decodeProgram, encodeProgram } from '../src/program.ts';
import { decodeWeights, encodeRow, encodeWeights } from '../src/weights.ts';

const programOf = (inputLength: number, outputLength: number) =>
  decodeProgram(encodeProgram([{ zeroPoint: 0, shift: 1, mult: 1, inputLength, outputLength }]));

describe('weights.bin', () => {
  test('a row is a sign-extended bias word, then w + 128 reversed inside each word, padded with 0x80', () => {
    const row = encodeRow(
      -2,
      Int8Array.from({ length: 33 }, (_, i) => i - 16),
    );
    expect(row.length).toBe(96);
    expect([...row.subarray(0, 32)]).toEqual([...Array<number>(31).fill(0xff), 0xfe]);
    expect(row[32 + 31]).toBe(128 - 16);
    expect(row[32]).toBe(128 + 15);
    expect(row[64 + 31]).toBe(128 + 16);
    expect([...row.subarray(64, 95)]).toEqual(Array<number>(31).fill(0x80));
  });

  test('decodes to what was encoded', () => {
    const models = fc.tuple(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 5 })).chain(([n, m]) =>
      fc.record({
        n: fc.constant(n),
        m: fc.constant(m),
        bias: fc.array(fc.oneof(fc.integer(), fc.constantFrom(2 ** 31 - 1, -(2 ** 31))), { minLength: m, maxLength: m }),
        weights: fc.array(fc.integer({ min: -128, max: 127 }), { minLength: n * m, maxLength: n * m }),
      }),
    );
    fc.assert(
      fc.property(models, ({ n, m, bias, weights }) => {
        const program = programOf(n, m);
        const layers = [{ bias: Int32Array.from(bias), weights: Int8Array.from(weights) }];
        expect(decodeWeights(program, encodeWeights(program, layers))).toEqual(layers);
      }),
    );
  });

  test('padding has no meaning', () => {
    const program = programOf(3, 1);
    const bytes = encodeWeights(program, [{ bias: Int32Array.of(5), weights: Int8Array.of(1, 2, 3) }]);
    const scribbled = bytes.slice().fill(7, 32, 61);
    expect(decodeWeights(program, scribbled)).toEqual(decodeWeights(program, bytes));
  });

  test('refuses another length and a bias beyond int32, by name', () => {
    const program = programOf(3, 2);
    const bytes = encodeWeights(program, [{ bias: Int32Array.of(-1, 1), weights: new Int8Array(6) }]);
    expect(() => decodeWeights(program, bytes.subarray(1))).toThrow('weights: want 128 bytes for this program, got 127');
    for (const [at, value] of [
      [0, 0],
      [27, 0xfe],
    ] as const) {
      expect(() => decodeWeights(program, bytes.with(at, value))).toThrow('rows[0].bias: want a sign-extended int32');
    }
    expect(() => decodeWeights(program, bytes.with(64, 0xff))).toThrow('rows[1].bias');
    expect(() => encodeWeights(program, [{ bias: Int32Array.of(1), weights: new Int8Array(6) }])).toThrow('layers[0]');
  });
});
