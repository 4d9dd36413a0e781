import type { Logger } from '@cupel/protocol/log';
import { isReason, refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import { replyOf } from '@cupel/protocol/wire/bus';
import { ErrorCode } from 'nats';
import type { Msg, NatsConnection } from 'nats';
import { z } from 'zod';

import { BusFault, BusUnavailable } from './bus.ts';
import type { CallOptions, CallResult, Handler, Schema, ServeOptions } from './bus.ts';
import { encodeMessage, parseMessage } from './encoding.ts';
import { isInbox } from './inbox.ts';

const DEFAULT_TIMEOUT_MS = 2000;

const anyReply = replyOf(z.unknown());

export const call = async <S extends Schema>(
  nc: NatsConnection,
  subject: string,
  payload: object,
  schema: S,
  { timeoutMs = DEFAULT_TIMEOUT_MS }: CallOptions,
): Promise<CallResult<z.output<S>>> => {
  let answer: Msg;
  try {
    answer = await nc.request(subject, encodeMessage(payload), { timeout: timeoutMs });
  } catch (cause) {
    throw new BusUnavailable(`${subject}: ${whyUnavailable(cause, timeoutMs)}`, { cause });
  }
  return readReply(subject, schema, answer.data);
};

/** What `call` makes of the bytes of a reply; the in-memory bus reads with it too. */
export const readReply = <S extends Schema>(subject: string, schema: S, bytes: Uint8Array): CallResult<z.output<S>> => {
  const reply = parseMessage(anyReply, bytes);
  if (!reply.ok) throw new BusFault(`${subject}: the reply does not fit its schema: ${reply.problem}`);
  if (reply.value.ok) {
    const value = schema.safeParse(reply.value.value);
    if (value.success) return { ok: true, value: value.data };
    throw new BusFault(
      `${subject}: the value of the reply does not fit its schema: ${value.error.issues[0]?.message ?? 'unknown problem'}`,
    );
  }
  const { reason, message, param, required, missing } = reply.value.refusal;
  if (reason === 'internal') throw new BusFault(`${subject}: ${message}`);
  return {
    ok: false,
    refusal: {
      reason,
      message,
      ...(param === undefined ? {} : { param }),
      ...(required === undefined ? {} : { required }),
      ...(missing === undefined ? {} : { missing }),
    },
  };
};

const whyUnavailable = (error: unknown, timeoutMs: number): string => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === ErrorCode.NoResponders) return 'nobody serves this subject';
  if (code === ErrorCode.Timeout) return `no answer within ${timeoutMs} ms`;
  return error instanceof Error ? error.message : 'unknown error';
};

export const serve = async <S extends Schema>(
  nc: NatsConnection,
  logger: Logger,
  subject: string,
  schema: S,
  handler: Handler<z.output<S>, object>,
  { queue }: ServeOptions,
): Promise<AsyncDisposable> => {
  const running = new Set<Promise<void>>();
  const answer = async (message: Msg): Promise<void> => {
    const reply = await replyTo(schema, handler, message.subject, message.data, logger);
    message.respond(reply);
  };
  const subscription = nc.subscribe(subject, {
    ...(queue === undefined ? {} : { queue }),
    callback(err, message) {
      if (err) {
        logger.error({ err, subject }, 'a subscription failed; the user may lack the permission');
        return;
      }
      // Whoever asks chooses where the reply goes: with our rights it would reach buckets and calls that are closed to the asker.
      if (!isInbox(message.reply)) {
        logger.warn({ subject: message.subject }, 'a request is left unheard: its reply would not go to an inbox');
        return;
      }
      const work = answer(message)
        .catch((error: unknown) => logger.error({ err: error, subject }, 'a reply could not be sent'))
        .finally(() => running.delete(work));
      running.add(work);
    },
  });
  await nc.flush();
  return {
    async [Symbol.asyncDispose]() {
      if (!nc.isClosed() && !subscription.isClosed()) await subscription.drain().catch(() => undefined);
      await Promise.all(running);
    },
  };
};

/** Parses, asks the handler, encodes. A throw is logged here and leaves as the refusal `internal`, without its message. */
export const replyTo = async <S extends Schema>(
  schema: S,
  handler: Handler<z.output<S>, object>,
  subject: string,
  bytes: Uint8Array,
  logger: Logger,
): Promise<Uint8Array> => {
  const request = parseMessage(schema, bytes);
  if (!request.ok) {
    const more = request.field === undefined || request.field === '' ? {} : { param: request.field };
    return encodeMessage({ version: 1, ok: false, refusal: refuse('invalid_field', request.problem, more) });
  }
  try {
    const result = await handler(request.value, subject);
    return encodeMessage(isRefusal(result) ? { version: 1, ok: false, refusal: result } : { version: 1, ok: true, value: result });
  } catch (err) {
    logger.error({ err, subject }, 'a bus handler failed');
    return encodeMessage({ version: 1, ok: false, refusal: refuse('internal', `the handler of ${subject} failed`) });
  }
};

const isRefusal = (result: object): result is Refusal =>
  'reason' in result &&
  typeof result.reason === 'string' &&
  isReason(result.reason) &&
  'message' in result &&
  typeof result.message === 'string';
