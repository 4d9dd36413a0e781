import { readChatEvent } from '../stream/chat-events.ts';
import type { BodySink, Reply, UpstreamCall, UpstreamError } from '../stream/exchange.ts';
import { GrowingBytes } from '../stream/growing-bytes.ts';
import { SseSplitter } from '../stream/sse.ts';
import type { Headers } from '../admit/credentials.ts';

/** What has passed through a relayed stream. */
export interface Relayed {
  /** Every byte that the edge sent; whole events of it went to the client. */
  readonly bytes: Buffer;
  readonly contentChunks: number;
  /** `[DONE]` has come: the answer is whole. */
  readonly done: boolean;
  /** `[DONE]` and what came behind it: kept back until the receipt is settled, so that a client who sees it finds its receipt. */
  readonly tail: Buffer;
  /** The edge itself reported an error inside the stream. */
  readonly failedInside: boolean;
}

export type RelayEnd =
  | { readonly trailers: Headers; readonly relayed: Relayed }
  | { readonly error: UpstreamError; readonly relayed: Relayed };

/**
 * Passes a chat stream from an edge to the client, whole events at a time, so that a cut never leaves half of one before the error event.
 * A slow client pauses the edge; a client that leaves aborts it, unless the answer is already whole.
 */
export class Relay implements BodySink {
  readonly #splitter = new SseSplitter();
  readonly #bytes = new GrowingBytes();
  readonly #tail = new GrowingBytes();
  readonly #reply: Reply;
  readonly #call: UpstreamCall;
  readonly #limit: number;
  readonly #first: () => void;
  readonly #ended: (end: RelayEnd) => void;
  #contentChunks = 0;
  #over = false;
  #done = false;
  #failedInside = false;

  /** `first` runs once, before the first bytes go to the client: it sends the head. */
  constructor(options: {
    readonly reply: Reply;
    readonly call: UpstreamCall;
    readonly limit: number;
    readonly first: () => void;
    readonly ended: (end: RelayEnd) => void;
  }) {
    this.#reply = options.reply;
    this.#call = options.call;
    this.#limit = options.limit;
    this.#first = options.first;
    this.#ended = options.ended;
    this.#reply.onDrain(() => this.#call.resume());
  }

  /** Called when the client has gone. */
  clientLeft(): void {
    if (!this.#done) this.#call.abort();
    else this.#call.resume();
  }

  data(chunk: Uint8Array): void {
    if (this.#over) return;
    if (this.#bytes.length + chunk.length > this.#limit) {
      this.#over = true;
      this.#call.abort();
      return;
    }
    this.#bytes.append(chunk);
    let events: Buffer[];
    try {
      events = this.#splitter.push(chunk);
    } catch {
      this.#over = true;
      this.#call.abort();
      return;
    }
    const now: Buffer[] = [];
    for (const event of events) {
      const { kind } = readChatEvent(event);
      if (kind === 'content') this.#contentChunks += 1;
      else if (kind === 'done') this.#done = true;
      else if (kind === 'error') this.#failedInside = true;
      if (this.#done) this.#tail.append(event);
      else now.push(event);
    }
    if (events.length === 0 || this.#reply.left.aborted) return;
    if (!this.#reply.started) this.#first();
    if (now.length > 0 && !this.#reply.write(now.length === 1 ? now[0]! : Buffer.concat(now))) this.#call.pause();
  }

  end(trailers: Headers): void {
    this.#ended({ trailers, relayed: this.#relayed() });
  }

  failed(error: UpstreamError): void {
    this.#ended({ error, relayed: this.#relayed() });
  }

  #relayed(): Relayed {
    return {
      bytes: this.#bytes.view(),
      tail: this.#tail.view(),
      contentChunks: this.#contentChunks,
      done: this.#done,
      failedInside: this.#failedInside,
    };
  }
}
