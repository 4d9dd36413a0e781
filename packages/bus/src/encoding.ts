import { encodeJson } from '@cupel/protocol/wire/scalars';
import type { z } from 'zod';

import { BusFault } from './bus.ts';
import type { Schema } from './bus.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** JSON with bigints as decimal strings. */
export const encodeMessage = (value: object): Uint8Array => encoder.encode(encodeJson(value));

export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: string; readonly field?: string };

/** Never throws: what comes in may be anything. The problem names fields, not values. */
export const parseMessage = <S extends Schema>(schema: S, bytes: Uint8Array): Parsed<z.output<S>> => {
  let json: unknown;
  try {
    json = JSON.parse(decoder.decode(bytes));
  } catch {
    return { ok: false, problem: 'the message is not JSON' };
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return { ok: true, value: parsed.data };
  const [first] = parsed.error.issues;
  const field = first?.path.map(String).join('.') ?? '';
  return { ok: false, problem: `${field === '' ? 'the message' : field}: ${first?.message ?? 'does not fit'}`, field };
};

/** Checks a value that we are about to write against its own schema, since a reader would drop it. Throws {@link BusFault}. */
export const encodeFitting = (schema: Schema, value: unknown, what: string): Uint8Array => {
  const bytes = encodeMessage(value as object);
  const parsed = parseMessage(schema, bytes);
  if (!parsed.ok) throw new BusFault(`${what} does not fit its schema: ${parsed.problem}`);
  return bytes;
};
