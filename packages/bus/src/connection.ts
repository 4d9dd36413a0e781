import type { Logger } from '@cupel/protocol/log';
import { ErrorCode, Events, NatsError, connect } from 'nats';
import type { NatsConnection } from 'nats';

import type { Bus } from './bus.ts';
import { call, serve } from './calls.ts';
import { inboxPrefix } from './inbox.ts';
import { openKv } from './kv.ts';
import { ensureBucket } from './kv-bucket.ts';
import { pause } from './pause.ts';
import { consume, ensureStream, publish } from './streams.ts';

export interface BusOptions {
  readonly url: string;
  /** Also decides where replies go: `_INBOX_<user>`. Absent only for a server without users. */
  readonly user?: string;
  readonly password?: string;
  /** Shows in the server's list of connections. */
  readonly name: string;
  readonly logger: Logger;
  /** A message was given up by `consume`; for a metric. */
  readonly onPoison?: (stream: string, why: string) => void;
  /** Ends waiting for a first connection, and for a stream that another user makes. */
  readonly signal?: AbortSignal;
}

/** Before it, JetStream's restore could overwrite other streams (CVE-2026-33222). */
const LEAST_SERVER = [2, 12, 6] as const;

/**
 * Connects, waiting for the server for as long as it takes; later losses are reconnected for ever. Throws when the server refuses the user
 * or the password, and when `signal` is aborted.
 */
export const connectBus = async (options: BusOptions): Promise<Bus> => {
  const { logger } = options;
  const nc = await firstConnection(options);
  let problem: string | undefined;
  let epoch = 0;
  const denied = new Set<string>();
  const closing = new AbortController();
  const stopping = options.signal ? AbortSignal.any([options.signal, closing.signal]) : closing.signal;
  const followStatus = async (): Promise<void> => {
    for await (const { type, data, permissionContext } of nc.status()) {
      const about = typeof data === 'string' || typeof data === 'number' ? String(data) : JSON.stringify(data);
      if (type === Events.Disconnect) {
        problem = 'disconnected from NATS';
        logger.warn({ server: about }, 'disconnected from NATS; reconnecting');
      } else if (type === Events.Reconnect) {
        problem = undefined;
        epoch += 1;
        denied.clear();
        logger.info({ server: about }, 'connected to NATS again');
      } else if (type === Events.Error && /^\$JS\.API\.STREAM\.(?:CREATE|UPDATE)\./.test(permissionContext?.subject ?? '')) {
        // Who wanted to make it knows, and goes on with what its maker makes.
        logger.debug({ subject: permissionContext?.subject }, 'this user may not make a stream');
      } else if (type === Events.Error) {
        logger.error({ problem: about }, 'NATS reports an error; a permission may be missing');
      }
    }
  };
  void followStatus();
  warnIfOld(nc, logger);

  const js = nc.jetstream({ timeout: 3000 });
  const jsm = await nc.jetstreamManager({ checkAPI: false, timeout: 3000 });
  const kvContext = { nc, js, jsm, logger, inboxPrefix: inboxPrefix(options.user ?? ''), epoch: () => epoch };
  const onPoison = options.onPoison ?? (() => undefined);
  const streams = { jsm, logger, denied, stopping };
  const open = new Set<AsyncDisposable>();
  const keep = <D extends AsyncDisposable>(disposable: D): D => {
    open.add(disposable);
    return disposable;
  };

  return {
    call: (subject, payload, value, callOptions = {}) => call(nc, subject, payload, value, callOptions),
    serve: async (subject, request, handler, serveOptions = {}) => keep(await serve(nc, logger, subject, request, handler, serveOptions)),
    publish: (subject, data, { msgId } = {}) => publish(js, subject, data, msgId),
    ensureStream: (stream) => ensureStream(streams, stream),
    consume: async (consumeOptions) => keep(consume({ ...streams, js, onPoison }, consumeOptions)),
    kv(bucket, schema) {
      const kv = openKv(kvContext, bucket, schema);
      return { ...kv, watch: (onChange, watchOptions) => keep(kv.watch(onChange, watchOptions)) };
    },
    ensureKv: (bucket) => ensureBucket(jsm, bucket),
    status: () => (nc.isClosed() ? 'the connection to NATS is closed' : problem),
    async [Symbol.asyncDispose]() {
      closing.abort();
      await Promise.all([...open].map((d) => d[Symbol.asyncDispose]()));
      if (nc.isClosed()) return;
      await Promise.race([nc.drain().catch(() => undefined), pause(3000)]);
      await nc.close();
    },
  };
};

const firstConnection = async (options: BusOptions): Promise<NatsConnection> => {
  const { url, user, password, name, logger, signal } = options;
  for (let tries = 1; ; tries++) {
    try {
      return await connect({
        servers: url,
        ...(user === undefined ? {} : { user, pass: password ?? '' }),
        name,
        inboxPrefix: inboxPrefix(user ?? ''),
        maxReconnectAttempts: -1,
        reconnectTimeWait: 500,
        reconnectJitter: 250,
        ignoreAuthErrorAbort: true,
        pingInterval: 5000,
        maxPingOut: 2,
        timeout: 5000,
      });
    } catch (cause) {
      if (
        cause instanceof NatsError &&
        (cause.code === ErrorCode.AuthorizationViolation || cause.code === ErrorCode.AuthenticationExpired)
      ) {
        throw new Error(`NATS at ${url} refuses the user "${user ?? ''}"; check user and password files`, { cause });
      }
      if (signal?.aborted) throw new Error(`stopped while waiting for NATS at ${url}`, { cause });
      if (tries === 1 || tries % 20 === 0) logger.warn({ err: cause, url, tries }, 'NATS cannot be reached; waiting for it');
      await pause(500, signal);
    }
  }
};

const warnIfOld = (nc: NatsConnection, logger: Logger): void => {
  const version = nc.info?.version ?? '0';
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  const [a, b, c] = LEAST_SERVER;
  if (major < a || (major === a && (minor < b || (minor === b && patch < c)))) {
    logger.warn({ version }, `nats-server ${version} is older than ${LEAST_SERVER.join('.')}, which closes known holes; update it`);
  }
};
