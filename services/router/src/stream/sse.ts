import { GrowingBytes } from './growing-bytes.ts';

export class SseError extends Error {
  override readonly name = 'SseError';
}

/** Most bytes of one event: a provider cannot make the router hold more. */
const MOST_EVENT_BYTES = 1_048_576;

const LF = 0x0a;
const CR = 0x0d;

/**
 * Cuts a byte stream into whole server-sent events, each with its blank line, however the bytes arrive. Source: WHATWG HTML, event streams
 * (line ends LF and CRLF; a lone CR, which no engine sends, is not taken for one).
 */
export class SseSplitter {
  readonly #bytes = new GrowingBytes();
  /** Nothing before it needs another look. */
  #scanned = 0;

  /** Each event is a copy of its own. Throws {@link SseError} when one grows too large. */
  push(chunk: Uint8Array): Buffer[] {
    this.#bytes.append(chunk);
    const bytes = this.#bytes.view();
    const events: Buffer[] = [];
    let start = 0;
    let at = bytes.indexOf(LF, this.#scanned);
    while (at !== -1) {
      const next = bytes[at + 1] === CR ? at + 2 : at + 1;
      if (bytes[next] === LF) {
        events.push(Buffer.from(bytes.subarray(start, next + 1)));
        start = next + 1;
        at = bytes.indexOf(LF, start);
      } else {
        if (next >= bytes.length) break;
        at = bytes.indexOf(LF, at + 1);
      }
    }
    this.#scanned = (at === -1 ? bytes.length : at) - start;
    // What stays came with this chunk: the copying is no more than the chunk's length.
    if (start > 0) this.#bytes.drop(start);
    if (this.#bytes.length > MOST_EVENT_BYTES) throw new SseError(`an event is larger than ${MOST_EVENT_BYTES} bytes`);
    return events;
  }

  /** What came after the last whole event, as a view: good until the next push. */
  get rest(): Buffer {
    return this.#bytes.view();
  }
}
