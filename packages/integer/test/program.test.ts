import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { IntegerModelError } from '../src/model-error.ts';
import { type DenseShape, decodeProgram, encodeProgram, rowBytesOf, rowCount, weightBytes } from '../src/program.ts';

const shapes: DenseShape[] = [
  { zeroPoint: 0, shift: 24, mult: 40_516, inputLength: 196, outputLength: 64 },
  { zeroPoint: 128, shift: 25, mult: -7, inputLength: 64, outputLength: 10 },
];

describe('program.bin', () => {
  test('decodes to what was encoded, with rows placed one after another', () => {
    const program = decodeProgram(encodeProgram(shapes));
    expect(program).toEqual({
      inputLength: 196,
      outputLength: 10,
      ops: [
        { ...shapes[0], firstRow: 0, rowBytes: 256 },
        { ...shapes[1], firstRow: 64, rowBytes: 96 },
      ],
    });
    expect(rowCount(program)).toBe(74);
    expect(weightBytes(program)).toBe(17_344);
  });

  test.each([
    [1, 64],
    [32, 64],
    [33, 96],
    [65_536, 65_568],
  ])('a row of %i inputs takes %i bytes', (n, bytes) => {
    expect(rowBytesOf(n)).toBe(bytes);
  });

  test.each<[string, number, number]>([
    ['header.magic', 0, 0x44],
    ['header.version', 5, 2],
    ['header.opCount', 7, 0],
    ['program', 7, 3],
    ['header.inputLength', 9, 2],
    ['header.outputLength', 15, 11],
    ['ops[0].opcode', 16, 2],
    ['ops[0].flags', 17, 1],
    ['ops[0].shift', 19, 0],
    ['ops[1].shift', 51, 63],
    ['ops[0].inputLength', 27, 195],
    ['ops[1].inputLength', 59, 63],
    ['ops[1].outputLength', 61, 2],
    ['ops[1].firstRow', 67, 63],
    ['ops[0].rowBytes', 39, 1],
    ['ops[1].reserved', 79, 1],
  ])('names %s when byte %i is %i', (field, at, value) => {
    const bytes = encodeProgram(shapes);
    bytes[at] = value;
    expect(fieldOf(() => decodeProgram(bytes))).toBe(field);
  });

  test('refuses a short header, missing bytes and trailing bytes', () => {
    const bytes = encodeProgram(shapes);
    expect(fieldOf(() => decodeProgram(bytes.subarray(0, 15)))).toBe('header');
    expect(fieldOf(() => decodeProgram(bytes.subarray(0, 79)))).toBe('program');
    expect(fieldOf(() => decodeProgram(Uint8Array.of(...bytes, 0)))).toBe('program');
  });

  test('any bytes either decode to a program that encodes to the same bytes, or are refused by name', () => {
    const mutations = fc.array(fc.tuple(fc.nat(79), fc.nat(255)), { maxLength: 3 });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), mutations), (change) => {
        const bytes = change instanceof Uint8Array ? change : mutate(encodeProgram(shapes), change);
        try {
          expect(encodeProgram(decodeProgram(bytes).ops)).toEqual(Uint8Array.from(bytes));
        } catch (error) {
          if (!(error instanceof IntegerModelError)) throw error;
        }
      }),
    );
  });

  test.each<[string, Partial<DenseShape>]>([
    ['ops[0].mult', { mult: 2 ** 31 }],
    ['ops[0].shift', { shift: 63 }],
    ['ops[0].zeroPoint', { zeroPoint: 256 }],
    ['ops[0].inputLength', { inputLength: 65_537 }],
  ])('a maker is told about %s', (field, change) => {
    expect(fieldOf(() => encodeProgram([{ zeroPoint: 0, shift: 1, mult: 1, inputLength: 1, outputLength: 1, ...change }]))).toBe(field);
  });
});

function mutate(bytes: Uint8Array, changes: readonly [number, number][]): Uint8Array {
  for (const [at, value] of changes) bytes[at] = value;
  return bytes;
}

function fieldOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof IntegerModelError) return error.field;
    throw error;
  }
  return 'accepted';
}
