import { bytesToHex, concatBytes, hexToBytes, uintToBytes } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import { bytes32, decimal } from '@cupel/protocol/wire/scalars';

import type { Headers } from './credentials.ts';
import { decodeVoucher } from './voucher-header.ts';
import type { VoucherHeader } from './voucher-header.ts';

/** HMAC-SHA256. */
export type Hmac = (key: Uint8Array, message: Uint8Array) => Uint8Array;
/** Compares without telling by time where the first difference is. */
export type EqualBytes = (a: Uint8Array, b: Uint8Array) => boolean;

/** How far the clocks of gateway and edge may be apart. */
const CLOCK_TOLERANCE_S = 120n;

export const ZERO_HASH: Hex = `0x${'00'.repeat(32)}`;

/** What one request between gateway and edge says about itself: docs/specs/gateway-edge.md. */
export interface SignedRequest {
  readonly requestId: Hex;
  readonly channelId: Hex;
  readonly versionId: Hex;
  readonly salt: Hex;
  /** Unix seconds. */
  readonly timestamp: bigint;
  readonly mac: Uint8Array;
  readonly voucher: VoucherHeader | undefined;
}

/** requestId ‖ channelId ‖ versionId ‖ inputHash ‖ uint64be timestamp. */
export const macMessage = (request: Omit<SignedRequest, 'mac' | 'salt' | 'voucher'>, inputHash: Hex): Uint8Array =>
  concatBytes(
    hexToBytes(request.requestId, 32),
    hexToBytes(request.channelId, 32),
    hexToBytes(request.versionId, 32),
    hexToBytes(inputHash, 32),
    uintToBytes(request.timestamp, 8),
  );

/** The headers of a request to an edge, without a voucher. */
export const signedHeaders = (
  hmac: Hmac,
  key: Hex,
  request: Omit<SignedRequest, 'mac' | 'voucher'>,
  inputHash: Hex,
): Record<string, string> => ({
  'x-cupel-request-id': request.requestId,
  'x-cupel-channel': request.channelId,
  'x-cupel-version-id': request.versionId,
  'x-cupel-salt': request.salt,
  'x-cupel-timestamp': request.timestamp.toString(),
  'x-cupel-mac': bytesToHex(hmac(hexToBytes(key, 32), macMessage(request, inputHash))).slice(2),
});

/** Reads those headers; refuses with invalid_field and the header's name, or with request_stale. */
export const readSignedHeaders = (headers: Headers, nowSeconds: bigint): SignedRequest | Refusal => {
  const wrong = (name: string, shape: string): Refusal => refuse('invalid_field', `header ${name} must be ${shape}`, { param: name });
  const hash = (name: string): Hex | undefined => bytes32.safeParse(headers[name]).data;
  const requestId = hash('x-cupel-request-id');
  if (requestId === undefined) return wrong('x-cupel-request-id', '0x and 64 hex digits');
  const channelId = hash('x-cupel-channel');
  if (channelId === undefined) return wrong('x-cupel-channel', '0x and 64 hex digits');
  const versionId = hash('x-cupel-version-id');
  if (versionId === undefined) return wrong('x-cupel-version-id', '0x and 64 hex digits');
  const salt = hash('x-cupel-salt');
  if (salt === undefined) return wrong('x-cupel-salt', '0x and 64 hex digits');
  const timestamp = decimal.safeParse(headers['x-cupel-timestamp']).data;
  if (timestamp === undefined || timestamp >= 1n << 64n) return wrong('x-cupel-timestamp', 'unix seconds');
  const off = timestamp > nowSeconds ? timestamp - nowSeconds : nowSeconds - timestamp;
  if (off > CLOCK_TOLERANCE_S) return refuse('request_stale', `x-cupel-timestamp is ${off} s off`);
  const mac = /^[0-9a-f]{64}$/.exec(headers['x-cupel-mac'] ?? '')?.[0];
  if (mac === undefined) return wrong('x-cupel-mac', '64 hex digits');
  const voucherText = headers['x-cupel-voucher'];
  const voucher = voucherText === undefined ? undefined : decodeVoucher(voucherText);
  if (voucherText !== undefined && !voucher) return wrong('x-cupel-voucher', 'base64url of a 16-byte amount and a 64-byte signature');
  return { requestId, channelId, versionId, salt, timestamp, mac: hexToBytes(`0x${mac}`), voucher };
};

/** undefined, or the refusal. */
export const checkMac = (deps: { hmac: Hmac; equal: EqualBytes }, key: Hex, request: SignedRequest, inputHash: Hex): Refusal | undefined =>
  deps.equal(deps.hmac(hexToBytes(key, 32), macMessage(request, inputHash)), request.mac)
    ? undefined
    : refuse('session_bad_mac', 'x-cupel-mac does not fit the request');
