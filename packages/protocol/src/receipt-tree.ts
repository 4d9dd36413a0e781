import type { Keccak256 } from './eip712.ts';
import { concatBytes, uintToBytes } from './hex.ts';

/**
 * The Merkle tree over receipt digests that a claim posts: leaf i = keccak(0x00 ‖ u64 i ‖ digest), positions fixed, padded with zero words to
 * a power of two. Obeyed by ClaimManager.sol.
 */
const leafOf = (keccak: Keccak256, index: number, digest: Uint8Array): Uint8Array =>
  keccak(concatBytes(Uint8Array.of(0), uintToBytes(BigInt(index), 8), digest));

const levelsOf = (keccak: Keccak256, digests: readonly Uint8Array[]): Uint8Array[][] => {
  if (digests.length === 0) throw new RangeError('a receipt tree needs at least one receipt');
  let level = digests.map((digest, i) => leafOf(keccak, i, digest));
  while ((level.length & (level.length - 1)) !== 0) level.push(new Uint8Array(32));
  const levels = [level];
  while (level.length > 1) {
    const below = level;
    level = Array.from({ length: below.length / 2 }, (_, i) => keccak(concatBytes(below[2 * i]!, below[2 * i + 1]!)));
    levels.push(level);
  }
  return levels;
};

export const receiptRoot = (keccak: Keccak256, digests: readonly Uint8Array[]): Uint8Array => levelsOf(keccak, digests).at(-1)![0]!;

/** Siblings from the leaf up. */
export const receiptProof = (keccak: Keccak256, digests: readonly Uint8Array[], index: number): Uint8Array[] => {
  const levels = levelsOf(keccak, digests);
  return levels.slice(0, -1).map((level, depth) => level[(index >> depth) ^ 1]!);
};
