import { keccak_256 } from '@noble/hashes/sha3.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { fromHex, toHex } from '../src/hex.ts';
import { merkleRoot, node } from '../src/merkle.ts';
import { decodeProgram, encodeProgram } from '../src/program.ts';
import { programRoot, verificationRoot, weightRoot } from '../src/root.ts';
import { inputHash, outputHash } from '../src/tensor.ts';
import { encodeWeights } from '../src/weights.ts';

const word = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const join = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));

describe('merkleRoot', () => {
  test('one leaf is its own root; three are padded with a zero word; pairs keep their order', () => {
    const [a, b, c] = [word(3), word(2), word(1)];
    expect(merkleRoot(a)).toEqual(a);
    expect(merkleRoot(join(a, b))).toEqual(keccak_256(join(a, b)));
    expect(merkleRoot(join(a, b, c))).toEqual(node(node(a, b), node(c, word(0))));
    expect(merkleRoot(join(a, b))).not.toEqual(merkleRoot(join(b, a)));
  });

  test('does not touch the leaves that it is given, and refuses a part of a word', () => {
    const leaves = join(word(1), word(2));
    merkleRoot(leaves);
    expect(leaves).toEqual(join(word(1), word(2)));
    expect(() => merkleRoot(new Uint8Array(33))).toThrow('leaves');
    expect(() => merkleRoot(new Uint8Array(0))).toThrow('leaves');
  });

  test('equals the recursive definition', () => {
    const recursive = (leaves: readonly Uint8Array[]): Uint8Array => {
      const [only] = leaves;
      if (leaves.length === 1 && only) return only;
      const half = leaves.length / 2;
      return node(recursive(leaves.slice(0, half)), recursive(leaves.slice(half)));
    };
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { minLength: 1, maxLength: 20 }), (leaves) => {
        const padded: Uint8Array[] = [...leaves];
        while (!Number.isInteger(Math.log2(padded.length))) padded.push(word(0));
        expect(merkleRoot(join(...leaves))).toEqual(recursive(padded));
      }),
      { numRuns: 50 },
    );
  });
});

describe('tensor roots', () => {
  test('an input of one word is keccak(salt ‖ word); an output of one word is paired with a zero word', () => {
    const padded = join(Uint8Array.of(1, 2, 3), new Uint8Array(29));
    expect(inputHash(word(9), Uint8Array.of(1, 2, 3))).toBe(toHex(keccak_256(join(word(9), padded))));
    expect(outputHash(Uint8Array.of(1, 2, 3))).toBe(toHex(keccak_256(join(padded, word(0)))));
  });

  test('an input of two words has four leaves', () => {
    const input = new Uint8Array(33).fill(7);
    const second = join(Uint8Array.of(7), new Uint8Array(31));
    expect(inputHash(word(1), input)).toBe(toHex(node(node(word(1), word(7)), node(second, word(0)))));
  });

  test('another salt, byte or position is another hash', () => {
    const input = Uint8Array.of(1, 2, 3);
    const hashes = [
      inputHash(word(1), input),
      inputHash(word(2), input),
      inputHash(word(1), Uint8Array.of(1, 2, 4)),
      inputHash(word(1), Uint8Array.of(2, 1, 3)),
    ];
    expect(new Set(hashes).size).toBe(4);
  });

  test('refuses a short salt and an empty tensor', () => {
    expect(() => inputHash(new Uint8Array(31), Uint8Array.of(1))).toThrow('salt: want 32 bytes, got 31');
    expect(() => inputHash(word(0), new Uint8Array(0))).toThrow('input');
    expect(() => outputHash(new Uint8Array(0))).toThrow('output');
  });
});

describe('verificationRoot', () => {
  const program = encodeProgram([{ zeroPoint: 0, shift: 1, mult: 1, inputLength: 2, outputLength: 1 }]);
  const weights = encodeWeights(decodeProgram(program), [{ bias: Int32Array.of(1), weights: Int8Array.of(2, 3) }]);

  test('is built from tagged, numbered leaves as the specification says', () => {
    const tag = (index: number): Uint8Array => Uint8Array.of(0, 0, 0, 0, index);
    const header = keccak_256(join(tag(0), program.subarray(0, 16)));
    const record = keccak_256(join(tag(1), program.subarray(16)));
    const row = keccak_256(join(tag(0), weights));
    expect(programRoot(program)).toEqual(node(header, record));
    expect(weightRoot(program, weights)).toEqual(row);
    const version = Uint8Array.of(0, 0, 0, 1);
    expect(verificationRoot(program, weights)).toBe(toHex(keccak_256(join(node(header, record), row, version))));
  });

  test('any flipped bit of the weights changes it, or makes them malformed', () => {
    const honest = verificationRoot(program, weights);
    fc.assert(
      fc.property(fc.nat(weights.length - 1), fc.nat(7), (at, bit) => {
        const flipped = weights.with(at, (weights[at] ?? 0) ^ (1 << bit));
        let root: string;
        try {
          root = verificationRoot(program, flipped);
        } catch {
          root = 'malformed';
        }
        expect(root).not.toBe(honest);
      }),
    );
  });
});

describe('hex', () => {
  test('round trip, and refusal of what is not hex', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(fromHex(toHex(bytes))).toEqual(bytes);
      }),
    );
    for (const bad of ['', '00', '0x0', '0xgg']) expect(() => fromHex(bad)).toThrow('hex');
  });
});
