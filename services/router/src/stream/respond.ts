import { errorBody, REASONS } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import { encodeJson } from '@cupel/protocol/wire/scalars';

import { refusalHeaders } from '../admit/refusals.ts';
import { errorEvent } from './chat-events.ts';
import type { Reply } from './exchange.ts';

export const sendBytes = (
  reply: Reply,
  status: number,
  contentType: string,
  body: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): void => {
  reply.head(status, { 'content-type': contentType, 'content-length': String(body.length), ...headers });
  reply.write(body);
  reply.end();
};

export const sendJson = (reply: Reply, status: number, body: unknown, headers?: Readonly<Record<string, string>>): void =>
  sendBytes(reply, status, 'application/json', Buffer.from(encodeJson(body)), headers);

/** OpenAI's error body before the first byte; after it a terminal error event, so that no client takes a cut stream for a whole one. */
export const sendRefusal = (reply: Reply, refusal: Refusal, headers: Readonly<Record<string, string>> = {}): void => {
  if (reply.started) {
    reply.write(errorEvent(errorBody(refusal)));
    reply.end();
    return;
  }
  sendJson(reply, REASONS[refusal.reason].status, errorBody(refusal), { ...refusalHeaders(refusal), ...headers });
};
