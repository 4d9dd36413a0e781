import { UpstreamError } from '../../src/stream/exchange.ts';
import type { BodySink, Reply, UpstreamCall } from '../../src/stream/exchange.ts';

/** A client that reads when it is told to. */
export class FakeReply implements Reply {
  readonly written: string[] = [];
  readonly heads: { status: number; headers: Readonly<Record<string, string>>; trailers: readonly string[] }[] = [];
  ended: Readonly<Record<string, string>> | true | undefined;
  /** What `write` returns: false when the client is too slow. */
  reads = true;
  drain: () => void = () => undefined;
  readonly #left = new AbortController();

  get left(): AbortSignal {
    return this.#left.signal;
  }
  get started(): boolean {
    return this.heads.length > 0;
  }
  leave(): void {
    this.#left.abort();
  }
  head(status: number, headers: Readonly<Record<string, string>>, trailers: readonly string[] = []): void {
    this.heads.push({ status, headers, trailers });
  }
  write(bytes: Uint8Array): boolean {
    this.written.push(Buffer.from(bytes).toString());
    return this.reads;
  }
  onDrain(resume: () => void): void {
    this.drain = resume;
  }
  end(trailers?: Readonly<Record<string, string>>): void {
    this.ended = trailers ?? true;
  }
}

/** Records what the sink asks of the connection; an abort is told to the sink at once, as undici does. */
export class FakeCall implements UpstreamCall {
  readonly did: string[] = [];
  sink: BodySink | undefined;
  pause(): void {
    this.did.push('pause');
  }
  resume(): void {
    this.did.push('resume');
  }
  abort(): void {
    this.did.push('abort');
    this.sink?.failed(new UpstreamError('aborted', 'aborted', { sent: true }));
  }
}
