import { baseUnits } from '@cupel/protocol/money';
import type { BaseUnits } from '@cupel/protocol/money';
import { bytesToHex, bytesToUint, concatBytes, hexToBytes, uintToBytes } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';

/** What `x-cupel-voucher` carries: a ceiling in base units and the channel signer's EIP-2098 signature over Voucher{channelId, ceiling}. */
export interface VoucherHeader {
  readonly maxClaimableAmount: BaseUnits;
  readonly signature: Hex;
}

const BYTES = 16 + 64;

/** base64url(uint128be maxClaimable ‖ 64-byte signature), without padding. */
export const encodeVoucher = (voucher: VoucherHeader): string =>
  Buffer.from(concatBytes(uintToBytes(voucher.maxClaimableAmount, 16), hexToBytes(voucher.signature, 64))).toString('base64url');

/** undefined unless the text is exactly one voucher. */
export const decodeVoucher = (text: string): VoucherHeader | undefined => {
  if (!/^[A-Za-z0-9_-]{107}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== BYTES) return undefined;
  return { maxClaimableAmount: baseUnits(bytesToUint(bytes.subarray(0, 16))), signature: bytesToHex(bytes.subarray(16)) };
};
