import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

import type { Logger } from '@cupel/protocol/log';
import { errorBody, refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';

import type { Headers } from '../admit/credentials.ts';
import type { Routes } from '../routes.ts';
import type { Exchange, Reply } from '../stream/exchange.ts';
import { GrowingBytes } from '../stream/growing-bytes.ts';
import { sendRefusal } from '../stream/respond.ts';

export interface HttpOptions {
  readonly port: number;
  readonly bodyBytes: number;
  /** A connection on which nothing moves, in either direction, for so long is closed: also that of a client who stops reading. */
  readonly silenceMs: number;
  readonly routes: Routes;
  readonly newId: () => string;
  readonly logger: Logger;
}

export interface Http extends AsyncDisposable {
  readonly port: number;
  /** New requests are refused with 503 draining from now on; resolves when those in flight have ended. */
  drain(): Promise<void>;
}

const HEADER_BYTES = 16_384;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_MS = 65_000;
/** Times the limit that is read of a body that was refused for its size. */
const DROPPED_BODIES = 16;

/** Serves `routes` on node:http. Node's own parser is strict: no lenient flags, so conflicting lengths and bare line feeds are refused. */
export const startHttp = async (options: HttpOptions): Promise<Http> => {
  let draining = false;
  let inFlight = 0;
  let idle: (() => void) | undefined;
  const server: Server = createServer(
    {
      maxHeaderSize: HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      insecureHTTPParser: false,
      requireHostHeader: true,
      noDelay: true,
    },
    (request, response) => {
      inFlight += 1;
      response.on('close', () => {
        inFlight -= 1;
        if (inFlight === 0) idle?.();
      });
      void handle(options, draining, request, response);
    },
  );
  server.setTimeout(options.silenceMs);
  server.on('clientError', refuseMalformed);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async drain() {
      draining = true;
      server.closeIdleConnections();
      if (inFlight > 0) await new Promise<void>((resolve) => (idle = resolve));
    },
    async [Symbol.asyncDispose]() {
      draining = true;
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
};

/** A client may name its request; anything that could confuse a log is replaced. */
const requestIdOf = (request: IncomingMessage, newId: () => string): string => {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(given) ? given : newId();
};

const handle = async (options: HttpOptions, draining: boolean, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const id = requestIdOf(request, options.newId);
  response.setHeader('x-request-id', id);
  const reply = new ServerReply(response);
  try {
    if (draining) {
      response.setHeader('connection', 'close');
      return sendRefusal(reply, refuse('draining', 'this replica is stopping'));
    }
    const exchange: Exchange = {
      remoteAddress: request.socket.remoteAddress ?? '',
      headers: headersOf(request),
      reply,
      body: () => readBody(request, options.bodyBytes),
    };
    await options.routes(request.method ?? '', (request.url ?? '').split('?', 1)[0]!, exchange);
  } catch (err) {
    options.logger.error({ err, requestId: id }, 'a request failed by our own fault');
    if (!reply.left.aborted && !response.writableEnded) sendRefusal(reply, refuse('internal', 'something went wrong here'));
  }
};

/** Only single-valued headers: one that came twice is joined by node (or dropped), and then fits no schema. */
const headersOf = (request: IncomingMessage): Headers => {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) if (typeof value === 'string') headers[name] = value;
  return headers;
};

const tooLarge = (limit: number): Refusal => refuse('body_too_large', `the body is larger than ${limit} bytes`);

const readBody = (request: IncomingMessage, limit: number): Promise<Uint8Array | Refusal> =>
  new Promise((resolve, reject) => {
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') {
      resolve(refuse('invalid_field', 'content-encoding is not supported; send the body as it is', { param: 'content-encoding' }));
      return;
    }
    const body = new GrowingBytes();
    let size = 0;
    // The rest of a body that is too large is read and dropped, else the client would see a reset and not the answer; but not for ever.
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) body.append(chunk);
      else if (size > DROPPED_BODIES * limit) request.destroy();
      else resolve(tooLarge(limit));
    });
    if (Number(request.headers['content-length'] ?? 0) > limit) resolve(tooLarge(limit));
    request.once('end', () => resolve(body.view()));
    request.once('error', reject);
    request.once('close', () => resolve(refuse('malformed_json', 'the body ended early')));
  });

/** What node's parser refuses never reaches a route: answered in OpenAI's shape, then closed. */
const refuseMalformed = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const large = error.code === 'HPE_HEADER_OVERFLOW';
  const body = JSON.stringify(
    errorBody({
      reason: large ? 'body_too_large' : 'invalid_field',
      message: large ? 'the headers are too large' : 'the request is not valid HTTP/1.1',
    }),
  );
  const status = large ? '431 Request Header Fields Too Large' : '400 Bad Request';
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
};

class ServerReply implements Reply {
  readonly #response: ServerResponse;
  readonly #left = new AbortController();

  constructor(response: ServerResponse) {
    this.#response = response;
    response.on('close', () => {
      if (!response.writableEnded) this.#left.abort();
    });
    response.on('error', () => this.#left.abort());
  }

  get left(): AbortSignal {
    return this.#left.signal;
  }

  get started(): boolean {
    return this.#response.headersSent;
  }

  head(status: number, headers: Readonly<Record<string, string>>, trailers: readonly string[] = []): void {
    if (this.#response.headersSent) return;
    this.#response.writeHead(status, { ...headers, ...(trailers.length === 0 ? {} : { trailer: trailers.join(', ') }) });
  }

  write(bytes: Uint8Array): boolean {
    return this.#response.destroyed || this.#response.writableEnded || this.#response.write(bytes);
  }

  onDrain(resume: () => void): void {
    this.#response.on('drain', resume);
  }

  end(trailers?: Readonly<Record<string, string>>): void {
    if (this.#response.writableEnded) return;
    if (trailers) this.#response.addTrailers(trailers);
    this.#response.end();
  }
}
