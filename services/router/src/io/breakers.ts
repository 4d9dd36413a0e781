import CircuitBreaker from 'opossum';

import type { BreakerState, Health, Ticket } from '../choose/health.ts';

export interface BreakersOptions {
  /** Outcomes within the window before a breaker may open. */
  readonly volume: number;
  /** Share of failures that opens it. */
  readonly failurePercent: number;
  readonly windowMs: number;
  /** Pause before one trial is let through. */
  readonly resetMs: number;
  readonly onState: (key: string, state: BreakerState) => void;
}

interface Circuit {
  readonly breaker: CircuitBreaker<[string | undefined], void>;
  trial: boolean;
}

const CAPACITY = 4096;

/**
 * One opossum breaker per endpoint. It is told outcomes when they are known (a stream's end may be minutes after its start), so its action
 * only repeats them; the one trial of a half-open breaker is counted here.
 */
export class Breakers implements Health, Disposable {
  readonly #options: BreakersOptions;
  readonly #circuits = new Map<string, Circuit>();

  constructor(options: BreakersOptions) {
    this.#options = options;
  }

  allows(key: string): boolean {
    const circuit = this.#circuits.get(key);
    return !circuit || circuit.breaker.closed || (circuit.breaker.halfOpen && !circuit.trial);
  }

  begin(key: string): Ticket {
    const circuit = this.#circuit(key);
    const isTrial = circuit.breaker.halfOpen;
    if (isTrial) circuit.trial = true;
    let open = true;
    const close = (tell: boolean, why: string | undefined): void => {
      if (!open) return;
      open = false;
      if (isTrial) circuit.trial = false;
      // A late outcome of a request that began before the breaker opened says nothing new.
      if (tell && !circuit.breaker.opened) circuit.breaker.fire(why).catch(() => undefined);
    };
    return { succeeded: () => close(true, undefined), failed: (why) => close(true, why), dropped: () => close(false, undefined) };
  }

  [Symbol.dispose](): void {
    for (const { breaker } of this.#circuits.values()) breaker.shutdown();
    this.#circuits.clear();
  }

  #circuit(key: string): Circuit {
    const known = this.#circuits.get(key);
    if (known) return known;
    const breaker = new CircuitBreaker<[string | undefined], void>(
      (why) => (why === undefined ? Promise.resolve() : Promise.reject(new Error(why))),
      {
        timeout: false,
        volumeThreshold: this.#options.volume,
        errorThresholdPercentage: this.#options.failurePercent,
        rollingCountTimeout: this.#options.windowMs,
        resetTimeout: this.#options.resetMs,
      },
    );
    breaker.on('open', () => this.#options.onState(key, 2));
    breaker.on('halfOpen', () => this.#options.onState(key, 1));
    breaker.on('close', () => this.#options.onState(key, 0));
    const circuit = { breaker, trial: false };
    this.#circuits.set(key, circuit);
    const oldest = this.#circuits.entries().next();
    if (this.#circuits.size > CAPACITY && !oldest.done) {
      oldest.value[1].breaker.shutdown();
      this.#circuits.delete(oldest.value[0]);
    }
    return circuit;
  }
}
