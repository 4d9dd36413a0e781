import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type DenseShape, decodeProgram, encodeProgram } from '../src/program.ts';
import { type IntegerModel, loadModel, requantize, requantizeExact, run } from '../src/run.ts';
import { encodeWeights, type LayerWeights } from '../src/weights.ts';

const int32Extremes = [0, 1, -1, 2 ** 30, -(2 ** 30), 2 ** 31 - 1, -(2 ** 31)];
const int32 = fc.oneof(fc.integer(), fc.constantFrom(...int32Extremes));
const int33 = fc.oneof(fc.integer({ min: -(2 ** 32), max: 2 ** 32 }), fc.constantFrom(...int32Extremes, 2 ** 32, -(2 ** 32)));
const shift = fc.integer({ min: 1, max: 62 });
const uint8 = fc.oneof(fc.nat(255), fc.constantFrom(0, 127, 128, 255));
const int8 = fc.oneof(fc.integer({ min: -128, max: 127 }), fc.constantFrom(-128, 0, 127));

describe('requantize', () => {
  test('equals the formula in arbitrary precision for every int33 acc and int32 mult', () => {
    fc.assert(
      fc.property(int33, int32, shift, uint8, (acc, mult, s, zero) => {
        expect(requantize(acc, mult, s, zero)).toBe(requantizeExact(acc, mult, s, zero));
      }),
      { numRuns: 5000 },
    );
  });

  test('equals it on both sides of the border between doubles and BigInt', () => {
    for (const s of [1, 2, 31, 52, 53, 54, 62]) {
      const room = 2 ** 53 - 2 ** (s - 1);
      for (const mult of [1, 3, 2 ** 21, 2 ** 21 + 1, 2 ** 31 - 1, -(2 ** 31)]) {
        for (let off = -3; off <= 3; off++) {
          for (const sign of [1, -1]) {
            const acc = sign * Math.trunc(room / mult) + off;
            if (Math.abs(acc) > 2 ** 32) continue;
            expect(requantize(acc, mult, s, 128)).toBe(requantizeExact(acc, mult, s, 128));
          }
        }
      }
    }
  });

  test.each([
    [3, 1, 1, 0, 2],
    [-3, 1, 1, 128, 127],
    [-1, 1, 1, 128, 128],
    [5, 3, 3, 0, 2],
    [2 ** 31 - 1, 2 ** 31 - 1, 62, 10, 11],
    [-(2 ** 31), 2 ** 31 - 1, 62, 10, 9],
    [-(2 ** 31), -(2 ** 31), 1, 0, 255],
    [1000, -1, 1, 255, 0],
  ])('acc %i · %i >> %i + %i is %i: halves go up', (acc, mult, s, zero, expected) => {
    expect(requantize(acc, mult, s, zero)).toBe(expected);
  });
});

describe('run', () => {
  const shapes = fc
    .tuple(
      fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 2, maxLength: 4 }),
      fc.array(fc.tuple(int32, shift, uint8), { minLength: 3, maxLength: 3 }),
    )
    .map(([widths, numbers]) =>
      widths.slice(1).map((outputLength, i): DenseShape => {
        const [mult, s, zeroPoint] = numbers[i] ?? [1, 1, 0];
        return { mult, shift: s, zeroPoint, inputLength: widths[i] ?? 1, outputLength };
      }),
    );
  const models = shapes.chain((ops) =>
    fc.tuple(
      fc.constant(ops),
      fc.tuple(
        ...ops.map((op) =>
          fc.tuple(
            fc.array(int32, { minLength: op.outputLength, maxLength: op.outputLength }),
            fc.array(int8, { minLength: op.outputLength * op.inputLength, maxLength: op.outputLength * op.inputLength }),
          ),
        ),
      ),
      fc.array(uint8, { minLength: ops[0]?.inputLength ?? 1, maxLength: ops[0]?.inputLength ?? 1 }),
    ),
  );

  test('equals a plain BigInt reading of the specification, through the files, at the extremes too', () => {
    fc.assert(
      fc.property(models, ([ops, numbers, input]) => {
        const layers = numbers.map(([bias, weights]): LayerWeights => ({ bias: Int32Array.from(bias), weights: Int8Array.from(weights) }));
        const program = encodeProgram(ops);
        const model = loadModel(program, encodeWeights(decodeProgram(program), layers));
        expect([...run(model, Uint8Array.from(input))]).toEqual(reference(ops, numbers, input));
      }),
      { numRuns: 150 },
    );
  });

  test('the widest row at its extreme is exact', () => {
    const n = 65_536;
    const program = encodeProgram([{ zeroPoint: 3, shift: 31, mult: 2 ** 31 - 1, inputLength: n, outputLength: 1 }]);
    const layers = [{ bias: Int32Array.of(-(2 ** 31)), weights: new Int8Array(n).fill(-128) }];
    const model = loadModel(program, encodeWeights(decodeProgram(program), layers));
    expect([...run(model, new Uint8Array(n).fill(255))]).toEqual([0]);
    expect([...run(model, new Uint8Array(n))]).toEqual([0]);
  });

  test('an input of another length is refused by name', () => {
    const program = encodeProgram([{ zeroPoint: 0, shift: 1, mult: 1, inputLength: 2, outputLength: 1 }]);
    const model: IntegerModel = loadModel(
      program,
      encodeWeights(decodeProgram(program), [{ bias: new Int32Array(1), weights: new Int8Array(2) }]),
    );
    expect(() => run(model, new Uint8Array(3))).toThrow('input: want 2 bytes, got 3');
  });
});

/** The formula of docs/specs/integer-model.md, word for word. */
function reference(ops: readonly DenseShape[], numbers: readonly [number[], number[]][], input: readonly number[]): number[] {
  let activations = input.map(BigInt);
  for (const [index, op] of ops.entries()) {
    const [bias, weights] = numbers[index] ?? [[], []];
    activations = bias.map((b, j) => {
      const row = weights.slice(j * op.inputLength, (j + 1) * op.inputLength).map(BigInt);
      const acc = BigInt(b) + row.reduce((sum, w, i) => sum + w * (activations[i] ?? 0n), 0n);
      const scaled = floorDivide(acc * BigInt(op.mult) + 2n ** BigInt(op.shift - 1), 2n ** BigInt(op.shift)) + BigInt(op.zeroPoint);
      return scaled < 0n ? 0n : scaled > 255n ? 255n : scaled;
    });
  }
  return activations.map(Number);
}

function floorDivide(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  return dividend % divisor < 0n ? quotient - 1n : quotient;
}
