import type { Keccak256 } from '@cupel/protocol/eip712';
import { hexToBytes } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';

/**
 * Whether a block's bloom filter admits a log of `address`. False is certain, true is likely: an empty list of logs beside a true is a reason
 * to ask again. Source: Ethereum yellow paper, M3:2048.
 */
export const mayHaveLogged = (keccak: Keccak256, bloom: Hex, address: Hex): boolean => {
  const bits = hexToBytes(bloom, 256);
  const hash = keccak(hexToBytes(address, 20));
  return [0, 2, 4].every((i) => {
    const bit = ((hash[i]! << 8) | hash[i + 1]!) & 2047;
    return ((bits[255 - (bit >> 3)]! >> (bit & 7)) & 1) === 1;
  });
};
