import type { Hex } from '@cupel/protocol/hex';
import { AbiCoder, getBytes } from 'ethers';

/**
 * ABI strings as they are on chain. A contract takes any bytes for a string, and ethers throws at those that are not UTF-8: here they become
 * U+FFFD, so that nobody can stop a reader with a slug of 0xff.
 */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const textOf = (bytes: unknown): string => decoder.decode(getBytes(String(bytes)));

/** ABI-encoded `(string)`. Throws when it is not even that. */
export const decodeText = (data: Hex): string => textOf(AbiCoder.defaultAbiCoder().decode(['bytes'], data)[0]);

/** ABI-encoded `(string[])`. Throws when it is not even that. */
export const decodeTexts = (data: Hex): string[] => {
  const [list] = AbiCoder.defaultAbiCoder().decode(['bytes[]'], data).toArray(true) as unknown[][];
  return (list ?? []).map(textOf);
};
