import { BusFault, BusUnavailable } from '@cupel/bus/bus';
import type { Bus, ConsumeOptions, Handler, Kv, KvChange, Schema, StreamOptions, Watch } from '@cupel/bus/bus';
import { readReply, replyTo } from '@cupel/bus/calls';
import { encodeFitting, encodeMessage, parseMessage } from '@cupel/bus/encoding';
import type { Logger } from '@cupel/protocol/log';
import type { z } from 'zod';

import { memoryLogger } from './logger.ts';

interface StoredMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly sequence: number;
}

interface MemoryStream {
  readonly options: StreamOptions;
  readonly messages: StoredMessage[];
  readonly ids: Map<string, number>;
}

interface Server {
  readonly subject: string;
  readonly queue: string | undefined;
  answer(subject: string, data: Uint8Array): Promise<Uint8Array>;
}

interface BucketWatch {
  readonly bucket: string;
  readonly pattern: string;
  readonly report: (key: string, data: Uint8Array | undefined) => void;
  readonly resolveReady: () => void;
}

export interface MemoryBus extends Bus {
  /** Deletes every stream and bucket, as a lost JetStream store would. */
  wipe(): void;
}

/** The bus in one process: every party of a test shares this object. Passes the same suite as the real one (`bus-contract.ts`). */
export const memoryBus = (logger: Logger = memoryLogger()): MemoryBus => {
  const servers = new Set<Server>();
  const streams = new Map<string, MemoryStream>();
  const buckets = new Map<string, Map<string, Uint8Array>>();
  const watches = new Set<BucketWatch>();
  const consumers = new Set<() => void>();
  let closed = false;
  let sequence = 0;

  const openWatch = <T>(bucket: string, pattern: string, decode: (data: Uint8Array) => T | undefined, onChange: KvChange<T>): Watch => {
    const ready = Promise.withResolvers<void>();
    const watch: BucketWatch = {
      bucket,
      pattern,
      report(key, data) {
        if (!matches(pattern, key)) return;
        try {
          onChange(key, data && decode(data));
        } catch (err) {
          logger.error({ err, bucket, entry: key }, 'a watcher of a bucket failed on a change');
        }
      },
      resolveReady: ready.resolve,
    };
    watches.add(watch);
    const values = buckets.get(bucket);
    if (values) {
      queueMicrotask(() => {
        if (!watches.has(watch)) return;
        for (const [key, data] of values) watch.report(key, data);
        ready.resolve();
      });
    }
    return {
      ready: ready.promise,
      async [Symbol.asyncDispose]() {
        watches.delete(watch);
        ready.resolve();
      },
    };
  };

  const kv = <S extends Schema>(bucket: string, schema: S): Kv<z.output<S>> => {
    const decode = (data: Uint8Array): z.output<S> | undefined => {
      const parsed = parseMessage(schema, data);
      if (!parsed.ok) logger.error({ bucket, problem: parsed.problem }, 'an entry does not fit its schema and is treated as absent');
      return parsed.ok ? parsed.value : undefined;
    };
    const values = (): Map<string, Uint8Array> => {
      const found = buckets.get(bucket);
      if (!found) throw new BusUnavailable(`bucket ${bucket} does not exist`);
      return found;
    };
    const tell = (key: string, data: Uint8Array | undefined): void => {
      for (const watch of watches) if (watch.bucket === bucket) watch.report(key, data);
    };
    return {
      async get(key) {
        const data = values().get(key);
        return data && decode(data);
      },
      async put(key, value) {
        const data = encodeFitting(schema, value, `${bucket}/${key}`);
        const before = values().get(key);
        values().set(key, data);
        if (before === undefined || !Buffer.from(before).equals(data)) tell(key, data);
        return ++sequence;
      },
      async delete(key) {
        if (values().delete(key)) tell(key, undefined);
      },
      async entries() {
        const rows = [...(buckets.get(bucket) ?? [])].flatMap(([key, data]): [string, z.output<S>][] => {
          const value = decode(data);
          return value === undefined ? [] : [[key, value]];
        });
        return new Map(rows);
      },
      watch: (onChange, { key = '>' } = {}) => openWatch(bucket, key, decode, onChange),
    };
  };

  return {
    async call(subject, payload, value, { timeoutMs = 2000 } = {}) {
      if (closed) throw new BusUnavailable(`${subject}: the bus is closed`);
      const server = [...servers].find((s) => matches(s.subject, subject));
      if (!server) throw new BusUnavailable(`${subject}: nobody serves this subject`);
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new BusUnavailable(`${subject}: no answer within ${timeoutMs} ms`)), timeoutMs);
      });
      const data = await Promise.race([server.answer(subject, encodeMessage(payload)), late]).finally(() => clearTimeout(timer));
      return readReply(subject, value, data);
    },
    async serve<S extends Schema>(subject: string, request: S, handler: Handler<z.output<S>, object>, { queue }: { queue?: string } = {}) {
      const server: Server = { subject, queue, answer: (on, data) => replyTo(request, handler, on, data, logger) };
      servers.add(server);
      return {
        async [Symbol.asyncDispose]() {
          servers.delete(server);
        },
      };
    },
    async publish(subject, data, { msgId } = {}) {
      const stream = [...streams.values()].find((s) => s.options.subjects.some((pattern) => matches(pattern, subject)));
      if (!stream) throw new BusUnavailable(`${subject} was not taken by a stream`);
      const known = msgId === undefined ? undefined : stream.ids.get(msgId);
      if (known !== undefined) return { sequence: known, duplicate: true };
      const next = stream.messages.length + 1;
      stream.messages.push({ subject, data: encodeMessage(data), sequence: next });
      if (msgId !== undefined) stream.ids.set(msgId, next);
      for (const wake of consumers) wake();
      return { sequence: next, duplicate: false };
    },
    async ensureStream(options) {
      if (!streams.has(options.name)) streams.set(options.name, { options, messages: [], ids: new Map() });
    },
    async consume(options) {
      return consumeMemory(streams, consumers, logger, options);
    },
    kv,
    async ensureKv(bucket) {
      if (!/^[A-Za-z0-9_-]+$/.test(bucket)) throw new BusFault(`"${bucket}" is no bucket name`);
      if (buckets.has(bucket)) return false;
      buckets.set(bucket, new Map());
      for (const watch of watches) if (watch.bucket === bucket) watch.resolveReady();
      return true;
    },
    status: () => (closed ? 'the bus is closed' : undefined),
    wipe() {
      for (const [bucket, values] of buckets) {
        for (const key of values.keys()) for (const watch of watches) if (watch.bucket === bucket) watch.report(key, undefined);
      }
      buckets.clear();
      streams.clear();
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      servers.clear();
      watches.clear();
    },
  };
};

const consumeMemory = <S extends Schema>(
  streams: Map<string, MemoryStream>,
  consumers: Set<() => void>,
  logger: Logger,
  options: ConsumeOptions<S>,
): AsyncDisposable => {
  const { stream, schema, maxDeliver = 5, backoffMs = [1000, 5000, 30_000] } = options;
  let stopped = false;
  let wake = (): void => undefined;
  const nudge = (): void => wake();
  consumers.add(nudge);

  const deliver = async ({ subject, data, sequence }: StoredMessage): Promise<void> => {
    const parsed = parseMessage(schema, data);
    if (!parsed.ok) return logger.error({ subject, sequence }, `a message is given up: it does not fit its schema: ${parsed.problem}`);
    for (let delivery = 1; delivery <= maxDeliver && !stopped; delivery++) {
      try {
        return await options.handler(parsed.value as z.output<S>, { subject, delivery, sequence });
      } catch (err) {
        logger.warn({ err, subject, sequence, delivery }, 'a handler failed; the message comes again');
        if (delivery < maxDeliver) await new Promise((r) => setTimeout(r, backoffMs[Math.min(delivery, backoffMs.length) - 1] ?? 1000));
      }
    }
    logger.error({ subject, sequence }, 'a message is given up: its handler failed too often');
  };

  const loop = async (): Promise<void> => {
    let current: MemoryStream | undefined;
    let next = 0;
    while (!stopped) {
      if (!streams.has(stream.name)) streams.set(stream.name, { options: stream, messages: [], ids: new Map() });
      const found = streams.get(stream.name);
      if (found !== current) next = 0;
      current = found;
      const message = current?.messages[next];
      if (message) {
        next += 1;
        await deliver(message);
      } else {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 50);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    }
  };
  const done = loop();
  return {
    async [Symbol.asyncDispose]() {
      stopped = true;
      consumers.delete(nudge);
      wake();
      await done;
    },
  };
};

/** NATS subjects: `*` is one token, `>` the rest. */
const matches = (pattern: string, subject: string): boolean => {
  const tokens = subject.split('.');
  const parts = pattern.split('.');
  for (const [i, part] of parts.entries()) {
    if (part === '>') return tokens.length > i;
    if (tokens[i] === undefined || (part !== '*' && part !== tokens[i])) return false;
  }
  return tokens.length === parts.length;
};
