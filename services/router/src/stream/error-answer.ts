import { baseUnits } from '@cupel/protocol/money';
import type { BaseUnits } from '@cupel/protocol/money';
import { decimal } from '@cupel/protocol/wire/scalars';
import { z } from 'zod';

import type { Headers } from '../admit/credentials.ts';

/** OpenAI's error object, or the Open Inference Protocol's string. */
const body = z.looseObject({
  error: z.union([
    z.string().transform((message) => ({ message, code: undefined, param: undefined })),
    z.looseObject({ message: z.string().optional(), code: z.union([z.string(), z.number()]).nullish(), param: z.string().nullish() }),
  ]),
});

export interface AnswerError {
  readonly code: string;
  readonly message: string;
  readonly param: string | undefined;
}

/** Control characters and length of what a stranger says are cut before a client sees it. */
const plain = (text: string, most: number): string => text.replace(/\p{Cc}/gu, '').slice(0, most);

/** Reads an error body; a body that is none gives an empty code. */
export const errorOf = (status: number, bytes: Uint8Array): AnswerError => {
  const none: AnswerError = { code: '', message: `status ${status}`, param: undefined };
  try {
    const parsed = body.safeParse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    if (!parsed.success) return none;
    const { code, message, param } = parsed.data.error;
    return {
      code: plain(String(code ?? ''), 60),
      message: plain(message ?? none.message, 500),
      param: param === undefined || param === null ? undefined : plain(param, 100),
    };
  } catch {
    return none;
  }
};

/** `x-cupel-required` of a 402: base units that a voucher must reach. */
export const requiredOf = (headers: Headers): BaseUnits | undefined => {
  const amount = decimal.safeParse(headers['x-cupel-required']);
  return amount.success && amount.data < 1n << 128n ? baseUnits(amount.data) : undefined;
};
