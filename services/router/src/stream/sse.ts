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
  #rest: Buffer = Buffer.alloc(0);
  #scanned = 0;

  /** Throws {@link SseError} when one event grows too large. */
  push(chunk: Uint8Array): Buffer[] {
    const bytes =
      this.#rest.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength) : Buffer.concat([this.#rest, chunk]);
    const events: Buffer[] = [];
    let start = 0;
    let at = bytes.indexOf(LF, this.#scanned);
    while (at !== -1) {
      const next = bytes[at + 1] === CR ? at + 2 : at + 1;
      if (bytes[next] === LF) {
        events.push(bytes.subarray(start, next + 1));
        start = next + 1;
        at = bytes.indexOf(LF, start);
      } else {
        if (next >= bytes.length) break;
        at = bytes.indexOf(LF, at + 1);
      }
    }
    this.#rest = start === 0 ? bytes : bytes.subarray(start);
    this.#scanned = at === -1 ? this.#rest.length : at - start;
    if (this.#rest.length > MOST_EVENT_BYTES) throw new SseError(`an event is larger than ${MOST_EVENT_BYTES} bytes`);
    return events;
  }

  /** What came after the last whole event. */
  get rest(): Buffer {
    return this.#rest;
  }
}
