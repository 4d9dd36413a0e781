import type { Headers } from '../admit/credentials.ts';
import { readChatEvent } from '../stream/chat-events.ts';
import type { Usage } from '../stream/chat-events.ts';
import type { BodySink, Reply, UpstreamCall, UpstreamError } from '../stream/exchange.ts';
import { GrowingBytes } from '../stream/growing-bytes.ts';
import { SseSplitter } from '../stream/sse.ts';

/** How an engine's stream ended and what of it was sent on. */
export interface EngineStreamEnd {
  readonly done: boolean;
  /** Every byte that was written to the gateway. */
  readonly sent: Buffer;
  readonly contentChunks: number;
  readonly usage: Usage | undefined;
  /** Why it is not whole; undefined when it ended in order. */
  readonly error: UpstreamError | Error | undefined;
}

/**
 * Passes an engine's chat stream on. Nothing is sent before the first content, so that an engine that dies early can be replaced; the usage
 * chunk is kept back unless the client asked for it.
 */
export class EngineStream implements BodySink {
  readonly #splitter = new SseSplitter();
  readonly #reply: Reply;
  readonly #call: UpstreamCall;
  readonly #wantsUsage: boolean;
  readonly #limit: number;
  readonly #begin: () => void;
  readonly #ended: (end: EngineStreamEnd) => void;
  readonly #sent = new GrowingBytes();
  #kept = new GrowingBytes();
  #size = 0;
  #contentChunks = 0;
  #done = false;
  #usage: Usage | undefined;
  #fault: Error | undefined;

  constructor(options: {
    readonly reply: Reply;
    readonly call: UpstreamCall;
    readonly wantsUsage: boolean;
    readonly limit: number;
    /** Runs once, before the first bytes: it sends the head. */
    readonly begin: () => void;
    readonly ended: (end: EngineStreamEnd) => void;
  }) {
    this.#reply = options.reply;
    this.#call = options.call;
    this.#wantsUsage = options.wantsUsage;
    this.#limit = options.limit;
    this.#begin = options.begin;
    this.#ended = options.ended;
    this.#reply.onDrain(() => this.#call.resume());
  }

  /** The gateway has gone: the engine stops, unless it is through already. */
  clientLeft(): void {
    if (!this.#done) this.#call.abort();
    else this.#call.resume();
  }

  data(chunk: Uint8Array): void {
    if (this.#fault) return;
    this.#size += chunk.length;
    if (this.#size > this.#limit) return this.#stop(new Error(`the answer is larger than ${this.#limit} bytes`));
    let events: Buffer[];
    try {
      events = this.#splitter.push(chunk);
    } catch (error) {
      return this.#stop(error instanceof Error ? error : new Error('the stream cannot be read'));
    }
    for (const event of events) {
      const { kind, usage } = readChatEvent(event);
      if (usage) this.#usage = usage;
      if (kind === 'error') {
        this.#flush();
        return this.#stop(new Error('the engine reported an error in its stream'));
      }
      if (kind === 'content' && !this.#reply.left.aborted) this.#contentChunks += 1;
      if (kind === 'done') this.#done = true;
      if (kind !== 'usage' || this.#wantsUsage) this.#kept.append(event);
    }
    if (this.#contentChunks > 0 || this.#done) this.#flush();
  }

  end(_trailers: Headers): void {
    this.#finish(this.#fault ?? (this.#done ? undefined : new Error('the engine ended its stream without [DONE]')));
  }

  failed(error: UpstreamError): void {
    this.#finish(this.#fault ?? (this.#done ? undefined : error));
  }

  #stop(fault: Error): void {
    this.#fault = fault;
    this.#call.abort();
  }

  #flush(): void {
    const bytes = this.#kept.view();
    this.#kept = new GrowingBytes();
    if (bytes.length === 0 || this.#reply.left.aborted || this.#contentChunks + Number(this.#done) === 0) return;
    if (!this.#reply.started) this.#begin();
    this.#sent.append(bytes);
    if (!this.#reply.write(bytes)) this.#call.pause();
  }

  #finish(error: Error | undefined): void {
    this.#ended({ done: this.#done, sent: this.#sent.view(), contentChunks: this.#contentChunks, usage: this.#usage, error });
  }
}
