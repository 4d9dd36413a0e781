import { type Dispatcher, Pool, ProxyAgent } from 'undici';
import { ApiError, errorFromAnswer } from './api-error.ts';
import { backoffMs, type Clock, pause, systemClock } from './clock.ts';
import { credentialSource, type KubeConfig, type TlsMaterial } from './credentials.ts';
import { type Metrics, noMetrics } from './telemetry.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path with query, as the API server knows it. */
  readonly path: string;
  readonly contentType?: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sending it twice has the effect of sending it once; true by itself for GET. */
  readonly idempotent?: boolean;
  readonly signal?: AbortSignal | undefined;
  /** For all attempts together. */
  readonly deadlineMs?: number | undefined;
  /** Further attempts at most; default 3. */
  readonly retries?: number | undefined;
}

/** Raw JSON to and from one API server. */
export interface Transport {
  /** @throws ApiError */
  send(request: ApiRequest): Promise<unknown>;
  /** Opens a stream that lasts; resolves with the headers. The stream ends or throws, and ends when the signal aborts. @throws ApiError */
  open(request: { readonly path: string; readonly signal: AbortSignal; readonly deadlineMs?: number }): Promise<AsyncIterable<Uint8Array>>;
  close(): Promise<void>;
}

export interface TransportOptions {
  readonly config: KubeConfig;
  /** Calls at once; watches have connections of their own. Default 32. */
  readonly connections?: number;
  /** Default for all attempts of one call together: 30 s. */
  readonly deadlineMs?: number;
  readonly userAgent?: string;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly metrics?: Metrics;
}

interface Lanes {
  readonly tls: TlsMaterial;
  readonly calls: Dispatcher;
  readonly streams: Dispatcher;
}

const retryLimits = { baseMs: 100, maxMs: 2000 };

/** Transport over undici with the credentials of a kubeconfig. Retries what is safe to retry, within the call's deadline. */
export function createTransport(options: TransportOptions): Transport {
  const { config, connections = 32, clock = systemClock, random = Math.random, metrics = noMetrics } = options;
  const source = credentialSource(config, clock);
  const base = new URL(source.server);
  const prefix = base.pathname.replace(/\/+$/, '');
  let lanes: Lanes | undefined;

  const lane = (tls: TlsMaterial, limit: number | null): Dispatcher => {
    const connect = { ...tls, timeout: 3000, keepAlive: true, keepAliveInitialDelay: 15_000 };
    const shared = { connections: limit, pipelining: 1, allowH2: false, keepAliveTimeout: 30_000 };
    if (source.proxyUrl !== undefined) return new ProxyAgent({ ...shared, uri: source.proxyUrl, requestTls: connect });
    return new Pool(base.origin, { ...shared, connect });
  };
  const lanesFor = (tls: TlsMaterial): Lanes => {
    if (lanes !== undefined && sameTls(lanes.tls, tls)) return lanes;
    // A rotated client certificate: calls under way finish on the old connections.
    if (lanes !== undefined) for (const old of [lanes.calls, lanes.streams]) old.close().catch(() => {});
    lanes = { tls, calls: lane(tls, connections), streams: lane(tls, null) };
    return lanes;
  };

  const exchange = async (
    request: Omit<ApiRequest, 'signal'>,
    signal: AbortSignal,
    kind: 'calls' | 'streams',
  ): Promise<Dispatcher.ResponseData> => {
    const { headers, tls } = await source.read();
    const label = `${request.method} ${request.path.split('?', 1)[0]}`;
    let answer: Dispatcher.ResponseData;
    try {
      answer = await lanesFor(tls)[kind].request({
        origin: base.origin,
        path: prefix + request.path,
        method: request.method,
        signal,
        headersTimeout: 0,
        bodyTimeout: 0,
        body: request.body === undefined ? null : JSON.stringify(request.body),
        headers: {
          ...headers,
          accept: 'application/json',
          'user-agent': options.userAgent ?? 'cupel-kube',
          ...(request.body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json' }),
        },
      });
    } catch (cause) {
      throw noAnswer(label, cause, signal);
    }
    if (answer.statusCode < 400) return answer;
    if (answer.statusCode === 401) source.invalidate();
    const text = await answer.body.text().catch(() => '');
    const retryAfter = answer.headers['retry-after'];
    throw errorFromAnswer(label, answer.statusCode, text, typeof retryAfter === 'string' ? retryAfter : undefined);
  };

  const once = async (request: ApiRequest, signal: AbortSignal): Promise<unknown> => {
    const answer = await exchange(request, signal, 'calls');
    const label = `${request.method} ${request.path.split('?', 1)[0]}`;
    let text: string;
    try {
      text = await answer.body.text();
    } catch (cause) {
      throw noAnswer(label, cause, signal);
    }
    try {
      return text === '' ? undefined : JSON.parse(text);
    } catch (cause) {
      const message = `${label}: the answer is not JSON; is ${base.origin} a Kubernetes API server?`;
      throw new ApiError({ status: 0, reason: 'Malformed', message, cause });
    }
  };

  const send = async (request: ApiRequest): Promise<unknown> => {
    const began = clock.monotonicMs();
    const deadlineMs = request.deadlineMs ?? options.deadlineMs ?? 30_000;
    using limit = linkedAbort(clock, deadlineMs, request.signal);
    const verb = request.method;
    const safe = verb === 'GET' || request.idempotent === true;
    let unauthorized = false;
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await once(request, limit.signal);
        metrics.count('kube_requests_total', { verb, status: '200' }, 1);
        metrics.observe('kube_request_seconds', { verb }, (clock.monotonicMs() - began) / 1000);
        return answer;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        metrics.count('kube_requests_total', { verb, status: String(error.status) }, 1);
        const again = error.status === 401 ? !unauthorized : mayRetry(error, safe);
        unauthorized ||= error.status === 401;
        const waitMs = error.status === 401 ? 0 : waitBefore(error, backoffMs(attempt, retryLimits, random));
        const leftMs = deadlineMs - (clock.monotonicMs() - began);
        if (!again || attempt >= (request.retries ?? 3) || waitMs >= leftMs || limit.signal.aborted) throw error;
        metrics.count('kube_retries_total', { verb }, 1);
        await pause(clock, waitMs, limit.signal);
      }
    }
  };

  return {
    send,
    open: async ({ path, signal, deadlineMs = 10_000 }) => {
      // Only the headers have a deadline; afterwards the caller's signal alone ends the stream.
      const stream = new AbortController();
      const abort = (): void => stream.abort(signal.reason);
      if (signal.aborted) abort();
      signal.addEventListener('abort', abort, { once: true });
      const cancelTimer = clock.after(deadlineMs, () => stream.abort(new DeadlineError(deadlineMs)));
      try {
        const answer = await exchange({ method: 'GET', path }, stream.signal, 'streams');
        return readStream(answer.body, `GET ${path.split('?', 1)[0]}`, stream.signal, () => signal.removeEventListener('abort', abort));
      } catch (error) {
        signal.removeEventListener('abort', abort);
        throw error;
      } finally {
        cancelTimer();
      }
    },
    close: async () => {
      if (lanes === undefined) return;
      await Promise.all([lanes.calls.destroy(), lanes.streams.destroy()]);
      lanes = undefined;
    },
  };
}

/** Sending again is right when nothing happened yet, or when happening twice is the same as once. */
function mayRetry(error: ApiError, safe: boolean): boolean {
  if (error.notProcessed) return true;
  return safe && (error.reason === 'Unreachable' || error.status >= 500);
}

/** 429 is obeyed. Other servers' wishes, up to a second: a starting API server asks for 5 s and is ready in one. */
function waitBefore(error: ApiError, backoff: number): number {
  if (error.retryAfterMs === undefined) return backoff;
  return error.status === 429 ? error.retryAfterMs : Math.max(backoff, Math.min(error.retryAfterMs, 1000));
}

class DeadlineError extends Error {
  constructor(ms: number) {
    super(`no answer within ${ms} ms`);
  }
}

/** A signal that follows another one and a deadline; dispose it to drop timer and listener. */
function linkedAbort(clock: Clock, deadlineMs: number, parent?: AbortSignal): { signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const follow = (): void => controller.abort(parent?.reason);
  if (parent?.aborted === true) follow();
  parent?.addEventListener('abort', follow, { once: true });
  const cancel = clock.after(deadlineMs, () => controller.abort(new DeadlineError(deadlineMs)));
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      cancel();
      parent?.removeEventListener('abort', follow);
    },
  };
}

// Errors of connecting: nothing was sent.
const neverSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT']);

function noAnswer(label: string, cause: unknown, signal: AbortSignal): ApiError {
  if (signal.aborted) {
    const late = signal.reason instanceof DeadlineError;
    const message = late ? `${label}: ${signal.reason.message}` : `${label}: aborted`;
    return new ApiError({ status: 0, reason: late ? 'Timeout' : 'Aborted', message, cause });
  }
  const code = codeOf(cause);
  const text = cause instanceof Error ? cause.message : String(cause);
  return new ApiError({
    status: 0,
    reason: 'Unreachable',
    message: `${label}: the API server cannot be reached (${code ?? text}); check its address and the network`,
    notProcessed: code !== undefined && neverSent.has(code),
    cause,
  });
}

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  if ('errors' in error && Array.isArray(error.errors)) return codeOf(error.errors[0]);
  return 'cause' in error ? codeOf(error.cause) : undefined;
}

async function* readStream(
  body: AsyncIterable<Uint8Array>,
  label: string,
  signal: AbortSignal,
  done: () => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (cause) {
    throw noAnswer(label, cause, signal);
  } finally {
    done();
  }
}

function sameTls(a: TlsMaterial, b: TlsMaterial): boolean {
  const same = (x: unknown, y: unknown): boolean => (Buffer.isBuffer(x) && Buffer.isBuffer(y) ? x.equals(y) : x === y);
  return same(a.ca, b.ca) && same(a.cert, b.cert) && same(a.key, b.key) && a.servername === b.servername;
}
