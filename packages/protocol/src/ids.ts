import type { Keccak256 } from './eip712.ts';
import { bytesToHex, concatBytes, hexToBytes, uintToBytes, utf8 } from './hex.ts';
import type { Hex } from './hex.ts';

/** keccak256(owner ‖ slug): registering the same slug twice names the same entry. `slug` is "<namespace>/<name>". */
export const modelIdOf = (keccak: Keccak256, owner: Hex, slug: string): Hex =>
  bytesToHex(keccak(concatBytes(hexToBytes(owner, 20), utf8(slug))));

/** keccak256(abi.encode(modelId, uint32 number)); numbers start at 1. */
export const versionIdOf = (keccak: Keccak256, modelId: Hex, number: number): Hex =>
  bytesToHex(keccak(concatBytes(hexToBytes(modelId, 32), uintToBytes(BigInt(number), 32))));

/** What identifies a payment channel; its hash is the single-use channel id. */
export interface ChannelDescriptor {
  readonly payer: Hex;
  readonly payee: Hex;
  readonly token: Hex;
  /** 0: secp256k1. */
  readonly signerKind: number;
  /** Address of the session key that signs vouchers. */
  readonly signer: Hex;
  /** Seconds between the payer's exit and his withdrawal. */
  readonly withdrawDelay: number;
  readonly salt: Hex;
}

const addressWord = (address: Hex): Uint8Array => concatBytes(new Uint8Array(12), hexToBytes(address, 20));

/** keccak256(abi.encode(payer, payee, token, signerKind, signer, withdrawDelay, salt)). */
export const channelIdOf = (keccak: Keccak256, d: ChannelDescriptor): Hex =>
  bytesToHex(
    keccak(
      concatBytes(
        addressWord(d.payer),
        addressWord(d.payee),
        addressWord(d.token),
        uintToBytes(BigInt(d.signerKind), 32),
        addressWord(d.signer),
        uintToBytes(BigInt(d.withdrawDelay), 32),
        hexToBytes(d.salt, 32),
      ),
    ),
  );

/** keccak256(salt ‖ bytes): input and output hashes of modes without an integer trace. The salt keeps short prompts from being guessed. */
export const saltedHash = (keccak: Keccak256, salt: Hex, bytes: Uint8Array): Hex =>
  bytesToHex(keccak(concatBytes(hexToBytes(salt, 32), bytes)));

/** Keys sorted at every level, no spaces: one text for one meaning. */
export const canonicalJson = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).filter(([, v]) => v !== undefined);
    return `{${entries
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => `${JSON.stringify(k)}:${canonicalJson(v)}`)
      .join(',')}}`;
  }
  return JSON.stringify(value);
};

/** keccak256 of the canonical JSON of an answer's parameters (seed, sampling, quantisation). */
export const paramsHashOf = (keccak: Keccak256, params: Readonly<Record<string, unknown>>): Hex =>
  bytesToHex(keccak(utf8(canonicalJson(params))));
