import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

import type { Hex } from '@cupel/protocol/hex';
import type { Payload } from '@cupel/protocol/wire/bus';

import type { Cipher } from '../calls/incoming.ts';

const NONCE = 12;
const TAG = 16;

/** AES-256-GCM: nonce (12) ‖ tag (16) ‖ ciphertext, with the name as associated data. `key`: 0x and 64 hex digits; throws without repeating it. */
export const aesCipher = (key: string): Cipher => {
  if (!/^0x[0-9a-fA-F]{64}$/.test(key))
    throw new Error('the payload key must be 0x and 64 hex digits; correct the file that payloadKeyFile names');
  const secret = bytesOf(key);
  const seal = (name: string, bytes: Uint8Array): Uint8Array => {
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv('aes-256-gcm', secret, nonce).setAAD(Buffer.from(name));
    const body = Buffer.concat([cipher.update(bytes), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), body]);
  };
  const open = (name: string, sealed: Uint8Array): Buffer => {
    const decipher = createDecipheriv('aes-256-gcm', secret, sealed.subarray(0, NONCE), { authTagLength: TAG })
      .setAAD(Buffer.from(name))
      .setAuthTag(sealed.subarray(NONCE, NONCE + TAG));
    return Buffer.concat([decipher.update(sealed.subarray(NONCE + TAG)), decipher.final()]);
  };
  return {
    seal: (name, payload) => seal(`payload ${name}`, encode(payload)),
    open: (name, sealed) => decode(open(`payload ${name}`, sealed)),
    sealKey: (name, sessionKey) => seal(`session ${name}`, bytesOf(sessionKey)),
    openKey: (name, sealed) => hexOf(open(`session ${name}`, sealed)),
  };
};

const bytesOf = (hex: string): Buffer => Buffer.from(hex.slice(2), 'hex');
const hexOf = (bytes: Uint8Array): Hex => `0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`;

/** salt (32) ‖ length of the input (4, big endian) ‖ input ‖ output. */
const encode = ({ salt, input, output }: Payload): Buffer => {
  const inputBytes = bytesOf(input);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(inputBytes.length);
  return Buffer.concat([bytesOf(salt), length, inputBytes, bytesOf(output)]);
};

const decode = (bytes: Buffer): Payload => {
  const inputEnd = 36 + bytes.readUInt32BE(32);
  return { salt: hexOf(bytes.subarray(0, 32)), input: hexOf(bytes.subarray(36, inputEnd)), output: hexOf(bytes.subarray(inputEnd)) };
};
