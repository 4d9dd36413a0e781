import type { Hex } from '@cupel/protocol/hex';
import type { Payload } from '@cupel/protocol/wire/bus';

const hexOf = (bytes: Uint8Array): Hex => `0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`;

/** What a replay needs: kept encrypted by the ledger until the evidence window closes. */
export const payloadOf = (salt: Hex, input: Uint8Array, output: Uint8Array): Payload => ({
  salt,
  input: hexOf(input),
  output: hexOf(output),
});
