import { AckPolicy, DeliverPolicy, NatsError, createInbox, nanos, nuid } from 'nats';
import type { Msg } from 'nats';

import type { KvChange, Watch, WatchOptions } from './bus.ts';
import { bucketStream, isWrittenFor, keySubject } from './kv-bucket.ts';
import type { KvContext } from './kv-bucket.ts';
import { pause } from './pause.ts';

const HEARTBEAT_MS = 1000;
const MISSED_HEARTBEATS = 3;
/** A bucket that is made anew is filled from the chain within seconds: until then a missing key is no deletion. */
const GRACE_MS = 5000;

/**
 * A watch that survives everything: every session is an ephemeral push consumer over the last value of each key; a gap in its sequence, a
 * missing heartbeat or a new connection ends the session, and the next one starts over and reports only what differs. (The ordered consumer
 * of the client library resumes by stream sequence, which goes wrong when the bucket was made anew.)
 */
export const watchBucket = <T>(
  context: KvContext,
  bucket: string,
  options: WatchOptions,
  decode: (key: string, data: Uint8Array) => T | undefined,
  onChange: KvChange<T>,
): Watch => {
  const { logger } = context;
  const stop = new AbortController();
  /** What was reported last, as bytes; absent keys were never reported or reported as gone. */
  const reported = new Map<string, string>();
  const ready = Promise.withResolvers<void>();

  const report = (key: string, data: Uint8Array | undefined): void => {
    const text = data === undefined ? undefined : Buffer.from(data).toString('base64');
    if (reported.get(key) === text) return;
    const value = data === undefined ? undefined : decode(key, data);
    if (text === undefined) reported.delete(key);
    else reported.set(key, text);
    try {
      onChange(key, value);
    } catch (err) {
      logger.error({ err, bucket, entry: key }, 'a watcher of a bucket failed on a change');
    }
  };

  const session = async (): Promise<void> => {
    const missing = new Set(reported.keys());
    await runSession(context, bucket, options.key ?? '>', stop.signal, {
      entry(key, data) {
        missing.delete(key);
        report(key, data);
      },
      foreign(key) {
        missing.delete(key);
        logger.error({ bucket, entry: key }, 'an entry was not written by its writer; what was there before stays');
      },
      async complete() {
        ready.resolve();
        if (missing.size === 0) return;
        await pause(GRACE_MS, stop.signal);
        if (!stop.signal.aborted) for (const key of missing) report(key, undefined);
      },
    });
  };

  const loop = async (): Promise<void> => {
    let quiet = false;
    while (!stop.signal.aborted) {
      try {
        await session();
        quiet = false;
      } catch (err) {
        if (stop.signal.aborted) break;
        if (!quiet && isMissing(err)) logger.info({ bucket }, 'a bucket does not exist yet; waiting for its writer');
        else if (!quiet) logger.warn({ err, bucket }, 'a bucket cannot be watched; it is tried again until it can');
        quiet = true;
      }
      await pause(300, stop.signal);
    }
  };
  const done = loop();
  return {
    ready: ready.promise,
    async [Symbol.asyncDispose]() {
      stop.abort();
      ready.resolve();
      await done;
    },
  };
};

/** The usual start: readers come before the bucket's one writer. */
const isMissing = (error: unknown): boolean => error instanceof NatsError && error.code === '404';

interface SessionSink {
  entry(key: string, data: Uint8Array | undefined): void;
  /** Something lies over the entry that no writer wrote for it. */
  foreign(key: string): void;
  /** Every value that stood in the bucket at the session's start has been given. */
  complete(): Promise<void>;
}

/** Returns when the session has to start over; throws when it cannot start. */
const runSession = async (context: KvContext, bucket: string, key: string, stop: AbortSignal, sink: SessionSink): Promise<void> => {
  const { nc, jsm } = context;
  const stream = bucketStream(bucket);
  const prefix = keySubject(bucket, '');
  const inbox = createInbox(context.inboxPrefix);
  const over = Promise.withResolvers<void>();
  const epoch = context.epoch();
  let delivered = 0;
  let completed = false;
  let lastSeen = performance.now();
  const complete = (): void => {
    if (completed) return;
    completed = true;
    void sink.complete();
  };

  const receive = (message: Msg): void => {
    lastSeen = performance.now();
    if (message.data.length === 0 && message.headers?.code === 100) {
      const heard = message.headers.get('Nats-Last-Consumer');
      if (heard === '' && message.reply) message.respond();
      else if (heard !== '' && Number(heard) !== delivered) over.resolve();
      return;
    }
    const info = deliveryOf(message.reply ?? '');
    if (!info || info.consumerSequence !== delivered + 1) {
      over.resolve();
      return;
    }
    delivered += 1;
    const entry = message.subject.slice(prefix.length);
    const operation = message.headers?.get('KV-Operation') ?? '';
    if (isWrittenFor(message.headers, bucket, entry)) sink.entry(entry, operation === '' ? message.data : undefined);
    else sink.foreign(entry);
    if (info.pending === 0) complete();
  };

  const subscription = nc.subscribe(inbox, {
    callback: (err, message) => (err ? over.reject(err) : receive(message)),
  });
  const watchdog = setInterval(() => {
    if (context.epoch() !== epoch || performance.now() - lastSeen > MISSED_HEARTBEATS * HEARTBEAT_MS) over.resolve();
  }, HEARTBEAT_MS / 2);
  const end = (): void => over.resolve();
  stop.addEventListener('abort', end, { once: true });
  try {
    const consumer = await jsm.consumers.add(stream, {
      name: nuid.next(),
      deliver_subject: inbox,
      deliver_policy: DeliverPolicy.LastPerSubject,
      ack_policy: AckPolicy.None,
      filter_subject: prefix + key,
      flow_control: true,
      idle_heartbeat: nanos(HEARTBEAT_MS),
      inactive_threshold: nanos(10_000),
      mem_storage: true,
      num_replicas: 1,
      max_deliver: 1,
    });
    if (consumer.num_pending === 0 && delivered === 0) complete();
    await over.promise;
  } finally {
    clearInterval(watchdog);
    stop.removeEventListener('abort', end);
    // The consumer goes by itself when nobody listens: a user who may delete consumers could delete those of others.
    subscription.unsubscribe();
  }
};

/** $JS.ACK.[domain.account.]stream.consumer.deliveries.streamSeq.consumerSeq.timestamp.pending[.token] */
const deliveryOf = (reply: string): { consumerSequence: number; pending: number } | undefined => {
  const tokens = reply.split('.');
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK' || tokens.length < 9) return undefined;
  const at = tokens.length > 9 ? 4 : 2;
  return { consumerSequence: Number(tokens[at + 4]), pending: Number(tokens[at + 6]) };
};
