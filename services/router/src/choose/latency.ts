/**
 * Peak-EWMA per key: jumps up to a slow answer at once, comes down slowly, and fades while nobody asks, so that an endpoint is tried again.
 * Source: Finagle's peak EWMA balancer.
 */
export class PeakEwma {
  readonly #decayMs: number;
  readonly #values = new Map<string, { value: number; atMs: number }>();

  constructor(decayMs: number) {
    this.#decayMs = decayMs;
  }

  observe(key: string, latencyMs: number, nowMs: number): void {
    const seen = this.#values.get(key);
    const faded = seen === undefined ? 0 : this.#faded(seen, nowMs);
    const weight = seen === undefined ? 0 : Math.exp(-Math.max(0, nowMs - seen.atMs) / this.#decayMs);
    const value = latencyMs > faded ? latencyMs : seen!.value * weight + latencyMs * (1 - weight);
    this.#values.set(key, { value, atMs: nowMs });
  }

  /** Milliseconds; 0 when nothing is known. */
  get(key: string, nowMs: number): number {
    const seen = this.#values.get(key);
    return seen === undefined ? 0 : this.#faded(seen, nowMs);
  }

  forgetExcept(keys: ReadonlySet<string>): void {
    for (const key of this.#values.keys()) if (!keys.has(key)) this.#values.delete(key);
  }

  #faded(seen: { value: number; atMs: number }, nowMs: number): number {
    return seen.value * Math.exp(-Math.max(0, nowMs - seen.atMs) / this.#decayMs);
  }
}
