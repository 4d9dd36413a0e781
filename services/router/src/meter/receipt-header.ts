import { receiptEnvelope } from '@cupel/protocol/wire/receipt';
import type { ReceiptEnvelope } from '@cupel/protocol/wire/receipt';
import { encodeJson } from '@cupel/protocol/wire/scalars';

/** An envelope is under 2 KiB; anything much longer is no envelope. */
const MOST_CHARACTERS = 8192;

/** base64url(JSON ReceiptEnvelope): header or trailer `x-cupel-receipt` from edge to gateway. */
export const encodeEnvelope = (envelope: ReceiptEnvelope): string => Buffer.from(encodeJson(envelope)).toString('base64url');

/** undefined unless it is one envelope. */
export const decodeEnvelope = (text: string | undefined): ReceiptEnvelope | undefined => {
  if (text === undefined || text.length > MOST_CHARACTERS || !/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
  try {
    return receiptEnvelope.safeParse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))).data;
  } catch {
    return undefined;
  }
};
