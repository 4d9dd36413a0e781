/**
 * Request ids seen lately. A timestamp is good for 240 s at most (±120 s), so an id may be forgotten after that; the ledger holds each id
 * once for ever, this only refuses earlier.
 */
export class ReplayWindow {
  readonly #seen = new Map<string, number>();
  readonly #capacity: number;
  readonly #keepMs: number;

  constructor(options: { readonly capacity: number; readonly keepMs: number }) {
    this.#capacity = options.capacity;
    this.#keepMs = options.keepMs;
  }

  /** False when the id was seen before; remembers it otherwise. */
  admit(id: string, nowMs: number): boolean {
    for (const [oldest, atMs] of this.#seen) {
      if (atMs + this.#keepMs > nowMs && this.#seen.size <= this.#capacity) break;
      this.#seen.delete(oldest);
    }
    if (this.#seen.has(id)) return false;
    this.#seen.set(id, nowMs);
    return true;
  }
}
