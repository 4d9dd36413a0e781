import type { Hex } from '@cupel/protocol/hex';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import { bytes32 } from '@cupel/protocol/wire/scalars';

import { decodeVoucher } from './voucher-header.ts';
import type { VoucherHeader } from './voucher-header.ts';

/** Header names in lower case; a header that was sent twice is absent unless HTTP allows joining it. */
export type Headers = Readonly<Record<string, string | undefined>>;

export type Credential =
  | { readonly kind: 'apiKey'; readonly apiKey: string }
  | { readonly kind: 'voucher'; readonly channelId: Hex; readonly voucher: VoucherHeader };

const API_KEY = /^Bearer ([\x21-\x7e]{1,512})$/i;

/** Reads a client's credential: a signed voucher wins over an API key when both are sent. */
export const credentialOf = (headers: Headers): Credential | Refusal => {
  const voucherText = headers['x-cupel-voucher'];
  const channelText = headers['x-cupel-channel'];
  if (voucherText !== undefined || channelText !== undefined) {
    const channel = bytes32.safeParse(channelText);
    if (!channel.success) return refuse('invalid_field', 'x-cupel-channel must be 0x and 64 hex digits', { param: 'x-cupel-channel' });
    const voucher = voucherText === undefined ? undefined : decodeVoucher(voucherText);
    if (!voucher) {
      return refuse('invalid_field', 'x-cupel-voucher must be base64url of a 16-byte amount and a 64-byte signature', {
        param: 'x-cupel-voucher',
      });
    }
    return { kind: 'voucher', channelId: channel.data, voucher };
  }
  const authorization = headers['authorization'];
  if (authorization === undefined || authorization === '') return refuse('missing_credentials', 'no credentials were sent');
  const key = API_KEY.exec(authorization)?.[1];
  return key === undefined ? refuse('invalid_api_key', 'the Authorization header is not a bearer key') : { kind: 'apiKey', apiKey: key };
};
