import { createRequire } from 'node:module';

import { bytesToHex, hexToBytes } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';

import { keccak256 } from './keccak.ts';

/**
 * Signatures in their one accepted form: 64 bytes after EIP-2098 (r ‖ yParity·2^255 + s, s low). Native libsecp256k1; the package's
 * pure JavaScript fallback is 30 times slower and refused at load.
 */
interface Native {
  ecdsaSign(digest: Uint8Array, key: Uint8Array): { signature: Uint8Array; recid: number };
  ecdsaRecover(signature: Uint8Array, recid: number, digest: Uint8Array, compressed: boolean): Uint8Array;
  publicKeyCreate(key: Uint8Array, compressed: boolean): Uint8Array;
  privateKeyVerify(key: Uint8Array): boolean;
}

const load = (): Native => {
  try {
    return createRequire(import.meta.url)('secp256k1/bindings') as Native;
  } catch (cause) {
    throw new Error('the native secp256k1 binding does not load on this platform; a prebuilt for it is needed', { cause });
  }
};

const native = load();

const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;

export const addressOfPublicKey = (uncompressed: Uint8Array): Hex => bytesToHex(keccak256(uncompressed.subarray(1)).subarray(12));

/** A private key that does not print: only its address and its signatures come out. */
export interface Signer {
  readonly address: Hex;
  /** Signs a 32-byte digest; 64 bytes after EIP-2098. */
  sign(digest: Uint8Array): Hex;
}

/** `key`: 32 bytes as 0x hex (white space around it is cut). Throws without repeating the key. */
export const signerFromKey = (key: string): Signer => {
  let bytes: Uint8Array;
  try {
    bytes = hexToBytes(key.trim(), 32);
  } catch {
    throw new Error('a private key must be 0x and 64 hex digits');
  }
  if (!native.privateKeyVerify(bytes)) throw new Error('a private key must lie between 1 and the order of secp256k1');
  return {
    address: addressOfPublicKey(native.publicKeyCreate(bytes, false)),
    sign(digest) {
      const { signature, recid } = native.ecdsaSign(digest, bytes);
      const out = Uint8Array.from(signature);
      if (recid === 1) out[32]! |= 0x80;
      return bytesToHex(out);
    },
  };
};

/** The address that signed `digest`, or undefined when the 64 bytes are no valid low-s signature. */
export const recover = (digest: Uint8Array, signature: Hex): Hex | undefined => {
  let compact: Uint8Array;
  try {
    compact = hexToBytes(signature, 64);
  } catch {
    return undefined;
  }
  const recid = compact[32]! >> 7;
  compact[32]! &= 0x7f;
  const s = BigInt(bytesToHex(compact.subarray(32)));
  if (s === 0n || s > HALF_ORDER) return undefined;
  try {
    return addressOfPublicKey(native.ecdsaRecover(compact, recid, digest, false));
  } catch {
    return undefined;
  }
};
