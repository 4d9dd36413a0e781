import { keccak_256 } from '@noble/hashes/sha3.js';

const WORD = 32;

/** keccak(l ‖ r). Positions are fixed; pairs are never sorted. */
export function node(left: Uint8Array, right: Uint8Array): Uint8Array {
  const pair = new Uint8Array(2 * WORD);
  pair.set(left);
  pair.set(right, WORD);
  return keccak_256(pair);
}

/** Number of leaves after padding with zero words: the least power of two that holds `count`, and at least `least`. */
export function paddedLength(count: number, least = 1): number {
  let length = least;
  while (length < count) length *= 2;
  return length;
}

/**
 * Root of a Merkle tree over `leaves`, a run of 32-byte words, padded with zero words to a power of two.
 * One leaf is its own root.
 *
 * @param leaves byte length is a positive multiple of 32
 * @param least a power of two; the tree has at least this many leaves
 */
export function merkleRoot(leaves: Uint8Array, least = 1): Uint8Array {
  if (leaves.length === 0 || leaves.length % WORD !== 0) throw new RangeError('leaves: want one or more 32-byte words');
  let length = paddedLength(leaves.length / WORD, least);
  const level = new Uint8Array(length * WORD);
  level.set(leaves);
  for (; length > 1; length /= 2) {
    for (let i = 0; i < length; i += 2) {
      level.set(keccak_256(level.subarray(i * WORD, (i + 2) * WORD)), (i / 2) * WORD);
    }
  }
  return level.slice(0, WORD);
}
