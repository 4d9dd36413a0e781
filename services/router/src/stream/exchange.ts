import type { Refusal } from '@cupel/protocol/reasons';

import type { Headers } from '../admit/credentials.ts';
import { GrowingBytes } from './growing-bytes.ts';

/** The client's side of one exchange, as far as a flow needs it. */
export interface Reply {
  /** Aborted when the client goes away before the answer ended. */
  readonly left: AbortSignal;
  readonly started: boolean;
  /** Status and headers; at most once. `trailers`: names of headers that follow the body. */
  head(status: number, headers: Readonly<Record<string, string>>, trailers?: readonly string[]): void;
  /** False: the client reads too slowly; hold back until `onDrain` calls. */
  write(bytes: Uint8Array): boolean;
  onDrain(resume: () => void): void;
  end(trailers?: Readonly<Record<string, string>>): void;
}

/** One request of a client. */
export interface Exchange {
  /** Address of the other side of the connection. */
  readonly remoteAddress: string;
  readonly headers: Headers;
  readonly reply: Reply;
  /** The body as it came, or body_too_large. */
  body(): Promise<Uint8Array | Refusal>;
}

export interface UpstreamRequest {
  /** Scheme, host, port. */
  readonly origin: string;
  readonly path: string;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly headersTimeoutMs: number;
  /** Longest pause between two pieces of the body. */
  readonly idleTimeoutMs: number;
}

export interface AnswerHead {
  readonly status: number;
  readonly headers: Headers;
}

/** Takes the body of an answer. After `end` or `failed` nothing more comes. */
export interface BodySink {
  data(chunk: Uint8Array): void;
  end(trailers: Headers): void;
  failed(error: UpstreamError): void;
}

export interface UpstreamCall {
  pause(): void;
  resume(): void;
  /** The sink (or `failed` of the listener) then hears of it as kind `aborted`. */
  abort(): void;
}

export interface UpstreamListener {
  /** Decides by status and headers who takes the body. */
  head(head: AnswerHead, call: UpstreamCall): BodySink;
  /** There will be no head. */
  failed(error: UpstreamError): void;
}

/** HTTP to a provider or an engine. */
export interface Upstream {
  send(request: UpstreamRequest, listener: UpstreamListener): UpstreamCall;
}

export type UpstreamFailure = 'refused_address' | 'connect' | 'timeout' | 'cut' | 'too_large' | 'aborted';

export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  readonly kind: UpstreamFailure;
  /** Whether the other side may have begun to work: then its outcome is unknown until it is asked. */
  readonly sent: boolean;

  constructor(kind: UpstreamFailure, message: string, options: { readonly sent: boolean; readonly cause?: unknown }) {
    super(message, { cause: options.cause });
    this.kind = kind;
    this.sent = options.sent;
  }
}

export interface WholeAnswer extends AnswerHead {
  readonly body: Buffer;
  readonly trailers: Headers;
}

/** Gathers a body up to `limit` bytes. */
export const gather = (
  head: AnswerHead,
  limit: number,
  call: UpstreamCall,
  done: { answer(answer: WholeAnswer): void; failed(error: UpstreamError): void },
): BodySink => {
  const body = new GrowingBytes();
  let over = false;
  return {
    data(chunk) {
      if (over) return;
      if (body.length + chunk.length <= limit) return body.append(chunk);
      over = true;
      call.abort();
    },
    end(trailers) {
      done.answer({ ...head, body: body.view(), trailers });
    },
    failed(error) {
      done.failed(over ? new UpstreamError('too_large', `the answer is larger than ${limit} bytes`, { sent: true }) : error);
    },
  };
};

/** One request whose whole answer is wanted. Rejects with {@link UpstreamError}. */
export const fetchWhole = (upstream: Upstream, request: UpstreamRequest, limit: number, signal?: AbortSignal): Promise<WholeAnswer> =>
  new Promise((resolve, reject) => {
    const call = upstream.send(request, {
      head: (head, own) => gather(head, limit, own, { answer: resolve, failed: reject }),
      failed: reject,
    });
    if (signal?.aborted) call.abort();
    else signal?.addEventListener('abort', () => call.abort(), { once: true });
  });
