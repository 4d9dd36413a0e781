import { Pool } from 'undici';
import type { buildConnector, Dispatcher } from 'undici';

import type { Headers } from '../admit/credentials.ts';
import { UpstreamError } from '../stream/exchange.ts';
import type { BodySink, Upstream, UpstreamCall, UpstreamFailure, UpstreamListener, UpstreamRequest } from '../stream/exchange.ts';
import { RefusedAddress } from './dial.ts';

export interface UpstreamOptions {
  /** Absent: any address (an edge's engines, which its operator names). */
  readonly connect?: buildConnector.connector;
  readonly connectTimeoutMs: number;
}

/** A stream holds its connection: the size of a pool is a limit on streams, so it is large. */
const CONNECTIONS = 4096;
const MOST_POOLS = 512;
const MOST_HEADER_BYTES = 16_384;

/** HTTP/1.1 by one undici pool per origin, driven by `dispatch`. Redirects are never followed: a 3xx is an answer like any other. */
export class UndiciUpstream implements Upstream, AsyncDisposable {
  readonly #options: UpstreamOptions;
  readonly #pools = new Map<string, Pool>();

  constructor(options: UpstreamOptions) {
    this.#options = options;
  }

  send(request: UpstreamRequest, listener: UpstreamListener): UpstreamCall {
    const call = new Call(listener);
    try {
      this.#pool(request.origin).dispatch(
        {
          path: request.path,
          method: request.method,
          headers: { ...request.headers },
          body: request.body === undefined ? null : Buffer.from(request.body.buffer, request.body.byteOffset, request.body.byteLength),
          headersTimeout: request.headersTimeoutMs,
          bodyTimeout: request.idleTimeoutMs,
        },
        call,
      );
    } catch (error) {
      // An invalid path or origin, told at once by undici; listeners expect to hear of it later.
      queueMicrotask(() => call.fail(error instanceof Error ? error : new Error('invalid request')));
    }
    return call;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
    this.#pools.clear();
  }

  #pool(origin: string): Pool {
    const known = this.#pools.get(origin);
    if (known) {
      this.#pools.delete(origin);
      this.#pools.set(origin, known);
      return known;
    }
    const pool = new Pool(origin, {
      connections: CONNECTIONS,
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: MOST_HEADER_BYTES,
      connectTimeout: this.#options.connectTimeoutMs,
      ...(this.#options.connect ? { connect: this.#options.connect } : {}),
    });
    this.#pools.set(origin, pool);
    const oldest = this.#pools.entries().next();
    if (this.#pools.size > MOST_POOLS && !oldest.done) {
      this.#pools.delete(oldest.value[0]);
      // Requests on it go on; it only takes no new ones.
      void oldest.value[1].close();
    }
    return pool;
  }
}

const plainHeaders = (headers: Readonly<Record<string, string | readonly string[] | undefined>>): Headers => {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name.toLowerCase()] = typeof value === 'string' ? value : value.join(', ');
  }
  return plain;
};

class Call implements UpstreamCall, Dispatcher.DispatchHandler {
  readonly #listener: UpstreamListener;
  #controller: Dispatcher.DispatchController | undefined;
  #sink: BodySink | undefined;
  #aborted = false;
  #over = false;

  constructor(listener: UpstreamListener) {
    this.#listener = listener;
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  abort(): void {
    if (this.#aborted || this.#over) return;
    this.#aborted = true;
    if (this.#controller) this.#controller.abort(new Error('aborted'));
    // Not on a connection yet: told now, stopped when its turn comes.
    else queueMicrotask(() => this.fail(new Error('aborted')));
  }

  fail(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    const failure = new UpstreamError(this.#aborted ? 'aborted' : kindOf(error, this.#controller !== undefined), error.message, {
      sent: this.#controller !== undefined,
      cause: error,
    });
    if (this.#sink) this.#sink.failed(failure);
    else this.#listener.failed(failure);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#aborted) {
      controller.abort(new Error('aborted'));
      return;
    }
    this.#controller = controller;
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    if (status < 200 || this.#over) return;
    this.#sink = this.#listener.head({ status, headers: plainHeaders(headers) }, this);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#over) this.#sink?.data(chunk);
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: Readonly<Record<string, string | string[] | undefined>>): void {
    if (this.#over) return;
    this.#over = true;
    this.#sink?.end(plainHeaders(trailers));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail(error);
  }
}

const TIMEOUTS = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);

const kindOf = (error: Error, began: boolean): UpstreamFailure => {
  if (error instanceof RefusedAddress) return 'refused_address';
  if ('code' in error && TIMEOUTS.has(String(error.code))) return 'timeout';
  return began ? 'cut' : 'connect';
};
