/** Hex strings: lower case, with 0x. */
export type Hex = `0x${string}`;

export class HexError extends Error {
  override readonly name = 'HexError';
}

export const bytesToHex = (bytes: Uint8Array): Hex => {
  let out = '';
  for (const byte of bytes) out += byte.toString(16).padStart(2, '0');
  return `0x${out}`;
};

/** Throws {@link HexError} unless `hex` is 0x and an even number of hex digits (and `length` bytes long, when given). */
export const hexToBytes = (hex: string, length?: number): Uint8Array => {
  if (!/^0x(?:[0-9a-fA-F]{2})*$/.test(hex)) throw new HexError(`not a hex string: "${hex.slice(0, 80)}"`);
  const out = new Uint8Array((hex.length - 2) / 2);
  if (length !== undefined && out.length !== length) throw new HexError(`expected ${length} bytes of hex, got ${out.length}`);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(hex.slice(2 + 2 * i, 4 + 2 * i), 16);
  return out;
};

export const concatBytes = (...parts: readonly Uint8Array[]): Uint8Array => {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
};

/** `value` as `size` big-endian bytes. Throws {@link HexError} when it is negative or does not fit. */
export const uintToBytes = (value: bigint, size: number): Uint8Array => {
  if (value < 0n || value >= 1n << BigInt(8 * size)) throw new HexError(`${value} does not fit ${size} unsigned bytes`);
  return hexToBytes(`0x${value.toString(16).padStart(2 * size, '0')}`);
};

export const bytesToUint = (bytes: Uint8Array): bigint => (bytes.length === 0 ? 0n : BigInt(bytesToHex(bytes)));

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
