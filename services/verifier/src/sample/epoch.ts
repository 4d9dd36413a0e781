import type { Keccak256 } from '@cupel/protocol/eip712';
import { bytesToHex, bytesToUint, concatBytes, hexToBytes, uintToBytes } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import { receiptRoot } from '@cupel/protocol/receipt-tree';

/**
 * The sampling rule (api.md, Sampling): the receipts held are fixed, a secret seed and the root of that set are committed to on chain, the
 * hash of a later block is the beacon, and only then is drawn. Nobody, the verifier included, can know or bend the draw beforehand; once
 * the seed is shown, anybody can draw again.
 */
export interface Held {
  readonly digest: Hex;
  /** Unix milliseconds. */
  readonly heldAtMs: number;
}

/** By time held, then by digest: one order for one set. */
export const inOrder = <T extends Held>(receipts: readonly T[]): T[] =>
  receipts.toSorted((a, b) => a.heldAtMs - b.heldAtMs || (a.digest < b.digest ? -1 : a.digest > b.digest ? 1 : 0));

/** Root of the receipt tree over the digests in order. Throws RangeError for an empty set: an empty epoch does not exist. */
export const setRootOf = (keccak: Keccak256, receipts: readonly Held[]): Hex =>
  bytesToHex(
    receiptRoot(
      keccak,
      inOrder(receipts).map(({ digest }) => hexToBytes(digest, 32)),
    ),
  );

/** keccak256(seed ‖ uint64 epoch). */
export const commitOf = (keccak: Keccak256, seed: Hex, epoch: number): Hex =>
  bytesToHex(keccak(concatBytes(hexToBytes(seed, 32), uintToBytes(BigInt(epoch), 8))));

/** Calldata of the commitment, 64 bytes: commit ‖ set root. The root fixes the set before the beacon. */
export const commitData = (commit: Hex, setRoot: Hex): Hex => `${commit}${setRoot.slice(2)}`;

export interface Draw {
  /** Hash of the beacon block. */
  readonly beacon: Hex;
  readonly seed: Hex;
  readonly digest: Hex;
  /** 0 … 1. */
  readonly rate: number;
}

const FRACTION_BITS = 53n;

/** The first 53 bits of keccak256(beacon ‖ seed ‖ digest), read as a fraction, lie below the rate. */
export const isDrawn = (keccak: Keccak256, { beacon, seed, digest, rate }: Draw): boolean => {
  const hash = keccak(concatBytes(hexToBytes(beacon, 32), hexToBytes(seed, 32), hexToBytes(digest, 32)));
  const fraction = Number(bytesToUint(hash.subarray(0, 8)) >> (64n - FRACTION_BITS)) / 2 ** Number(FRACTION_BITS);
  return fraction < rate;
};
