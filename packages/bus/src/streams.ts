import type { Logger } from '@cupel/protocol/log';
import { AckPolicy, DeliverPolicy, DiscardPolicy, ErrorCode, NatsError, RetentionPolicy, StorageType, nanos } from 'nats';
import type { JetStreamClient, JetStreamManager, JsMsg, StreamConfig } from 'nats';
import type { z } from 'zod';

import { BusFault, BusUnavailable } from './bus.ts';
import type { ConsumeOptions, PublishAck, Schema, StreamOptions } from './bus.ts';
import { encodeMessage, parseMessage } from './encoding.ts';
import { pause } from './pause.ts';

const API_TIMEOUT_MS = 3000;
const FETCH_EXPIRES_MS = 5000;
const ACK_WAIT_MS = 60_000;
const STREAM_NOT_FOUND = 10059;

/** undefined when there is no such stream. Other failures throw {@link BusUnavailable}. */
export const streamConfig = async (jsm: JetStreamManager, name: string): Promise<StreamConfig | undefined> => {
  try {
    return (await jsm.streams.info(name)).config;
  } catch (cause) {
    if (cause instanceof NatsError && cause.api_error?.err_code === STREAM_NOT_FOUND) return undefined;
    throw unavailable(`stream ${name}`, cause);
  }
};

export const unavailable = (what: string, cause: unknown): BusUnavailable =>
  new BusUnavailable(`${what}: ${cause instanceof Error ? cause.message : 'unknown error'}`, { cause });

export interface StreamsContext {
  readonly jsm: JetStreamManager;
  readonly logger: Logger;
  /** Streams that this user may not make: asked once per connection, then left to their maker. */
  readonly denied: Set<string>;
  /** Ends waiting for another's stream. */
  readonly stopping: AbortSignal;
  /** How long to wait for it; default 30 s. */
  readonly givenWithinMs?: number;
}

/** Long enough for an operator that restarts; then the caller is told. */
const GIVEN_WITHIN_MS = 30_000;
const GIVEN_POLL_MS = 300;

export const ensureStream = async (context: StreamsContext, options: StreamOptions): Promise<void> => {
  const { jsm, denied, logger } = context;
  const wanted: Partial<StreamConfig> & { name: string } = {
    name: options.name,
    subjects: [...options.subjects],
    max_age: nanos(options.maxAgeMs),
    max_bytes: options.maxBytes,
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    duplicate_window: nanos(Math.min(120_000, options.maxAgeMs)),
    num_replicas: 1,
  };
  const found = await streamConfig(jsm, options.name);
  if (found && differences(wanted, found).length === 0) return;
  if (denied.has(options.name)) return given(context, options, found);
  let applied: StreamConfig;
  try {
    applied = (found ? await jsm.streams.update(options.name, wanted) : await jsm.streams.add(wanted)).config;
  } catch (cause) {
    if (!(cause instanceof NatsError && cause.code === ErrorCode.PermissionsViolation)) {
      throw unavailable(`stream ${options.name} cannot be made`, cause);
    }
    denied.add(options.name);
    if (!found) logger.info({ stream: options.name }, 'this user may not make the stream; waiting for its maker');
    return given(context, options, found);
  }
  const different = differences(wanted, applied);
  if (different.length > 0) {
    throw new BusFault(`the server did not apply ${different.join(', ')} of stream ${options.name}; use nats-server 2.12.6 or later`);
  }
};

/** A stream that somebody else makes, on the terms of its maker, as soon as it is there. */
const given = async (
  { jsm, stopping, givenWithinMs = GIVEN_WITHIN_MS }: StreamsContext,
  options: StreamOptions,
  known: StreamConfig | undefined,
): Promise<void> => {
  const until = performance.now() + givenWithinMs;
  let found = known;
  while (!found && !stopping.aborted && performance.now() < until) {
    await pause(GIVEN_POLL_MS, stopping);
    found = await streamConfig(jsm, options.name);
  }
  if (!found) {
    throw new BusUnavailable(
      `stream ${options.name} is not there yet, and this user may not make it; the operator makes those of edges that it lists engines for`,
    );
  }
  const missing = options.subjects.filter((subject) => !found.subjects.includes(subject));
  if (missing.length > 0) throw new BusFault(`stream ${options.name} does not take ${missing.join(', ')}; whoever made it must correct it`);
};

const differences = (wanted: Partial<StreamConfig>, found: StreamConfig): string[] =>
  Object.entries(wanted).flatMap(([field, value]) => {
    const other = Object.entries(found).find(([name]) => name === field)?.[1];
    return JSON.stringify(other) === JSON.stringify(value) ? [] : [field];
  });

export const publish = async (js: JetStreamClient, subject: string, data: object, msgId: string | undefined): Promise<PublishAck> => {
  try {
    const ack = await js.publish(subject, encodeMessage(data), {
      timeout: API_TIMEOUT_MS,
      ...(msgId === undefined ? {} : { msgID: msgId }),
    });
    return { sequence: ack.seq, duplicate: ack.duplicate };
  } catch (cause) {
    throw unavailable(`${subject} was not taken by a stream`, cause);
  }
};

export interface ConsumeContext extends StreamsContext {
  readonly js: JetStreamClient;
  /** A message was given up. */
  readonly onPoison: (stream: string, why: string) => void;
}

const DEFAULT_BACKOFF_MS = [1000, 5000, 30_000];

/** See `Bus.consume`. A durable pull consumer; one message at a time, so that a slow handler delays nothing but its own stream. */
export const consume = <S extends Schema>(context: ConsumeContext, options: ConsumeOptions<S>): AsyncDisposable => {
  const { js, jsm, logger } = context;
  const { stream, durable } = options;
  const stop = new AbortController();

  const prepare = async (): Promise<void> => {
    // Its terms are the publisher's: a reader makes it only when it is missing.
    if (!(await streamConfig(jsm, stream.name))) {
      await ensureStream({ ...context, stopping: stop.signal, givenWithinMs: Number.POSITIVE_INFINITY }, stream);
    }
    await jsm.consumers.add(stream.name, {
      durable_name: durable,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      ack_wait: nanos(ACK_WAIT_MS),
      max_deliver: -1,
      max_ack_pending: 1000,
    });
  };

  const handle = async (message: JsMsg): Promise<void> => {
    const about = { subject: message.subject, delivery: message.info.deliveryCount, sequence: message.seq };
    const giveUp = (why: string, err?: unknown): void => {
      logger.error({ stream: stream.name, durable, ...about, ...(err === undefined ? {} : { err }) }, `a message is given up: ${why}`);
      context.onPoison(stream.name, why);
      message.term(why.slice(0, 200));
    };
    const parsed = parseMessage(options.schema, message.data);
    if (!parsed.ok) return giveUp(`it does not fit its schema: ${parsed.problem}`);
    const alive = setInterval(() => message.working(), ACK_WAIT_MS / 3);
    try {
      await options.handler(parsed.value as z.output<S>, about);
      message.ack();
    } catch (err) {
      if (about.delivery >= (options.maxDeliver ?? 5)) return giveUp('its handler failed too often', err);
      const backoff = options.backoffMs ?? DEFAULT_BACKOFF_MS;
      const delay = backoff[Math.min(about.delivery, backoff.length) - 1] ?? 1000;
      logger.warn({ err, stream: stream.name, durable, ...about, delay }, 'a handler failed; the message comes again');
      message.nak(delay);
    } finally {
      clearInterval(alive);
    }
  };

  const drain = async (): Promise<void> => {
    await prepare();
    const consumer = await js.consumers.get(stream.name, durable);
    while (!stop.signal.aborted) {
      const batch = await consumer.fetch({ max_messages: 1, expires: FETCH_EXPIRES_MS });
      const end = (): void => void batch.close();
      stop.signal.addEventListener('abort', end, { once: true });
      let empty = true;
      for await (const message of batch) {
        empty = false;
        if (!stop.signal.aborted) await handle(message);
      }
      stop.signal.removeEventListener('abort', end);
      // An empty batch is also what a deleted stream looks like.
      if (empty && !stop.signal.aborted) await consumer.info();
    }
  };

  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      try {
        await drain();
      } catch (err) {
        if (stop.signal.aborted) return;
        logger.warn({ err, stream: stream.name, durable }, 'a stream cannot be read; it is made anew if it is gone');
        await pause(500, stop.signal);
      }
    }
  };
  const done = loop();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.race([done, pause(FETCH_EXPIRES_MS + 1000)]);
    },
  };
};
