import { type Hex, toHex } from './hex.ts';
import { merkleRoot } from './merkle.ts';
import { IntegerModelError } from './model-error.ts';

const WORD = 32;

/**
 * The receipt's inputHash: root of [salt, input bytes zero-padded to words, zero words to a power of two ≥ 2].
 * @param salt 32 random bytes, so that a short input cannot be guessed from its hash
 * @throws IntegerModelError when the salt is not 32 bytes or the input is empty.
 */
export function inputHash(salt: Uint8Array, input: Uint8Array): Hex {
  if (salt.length !== WORD) throw new IntegerModelError('salt', `want 32 bytes, got ${salt.length}`);
  if (input.length === 0) throw new IntegerModelError('input', 'want at least one byte');
  const words = new Uint8Array(WORD + paddedToWords(input.length));
  words.set(salt);
  words.set(input, WORD);
  return toHex(merkleRoot(words, 2));
}

/** The receipt's outputHash: root of [output bytes zero-padded to words, zero words to a power of two ≥ 2]. */
export function outputHash(output: Uint8Array): Hex {
  if (output.length === 0) throw new IntegerModelError('output', 'want at least one byte');
  const words = new Uint8Array(paddedToWords(output.length));
  words.set(output);
  return toHex(merkleRoot(words, 2));
}

const paddedToWords = (length: number): number => WORD * Math.ceil(length / WORD);
