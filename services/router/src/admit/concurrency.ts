import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';

export interface ConcurrencyOptions {
  readonly perTenant: number;
  readonly total: number;
}

/** Counts requests in flight. One tenant cannot take every place. */
export class Concurrency {
  readonly #options: ConcurrencyOptions;
  readonly #byTenant = new Map<string, number>();
  #total = 0;

  constructor(options: ConcurrencyOptions) {
    this.#options = options;
  }

  get inFlight(): number {
    return this.#total;
  }

  /** A function that gives the place back (once), or a refusal. */
  enter(tenant: string): (() => void) | Refusal {
    const own = this.#byTenant.get(tenant) ?? 0;
    if (own >= this.#options.perTenant) return refuse('too_many_requests', `${own} requests are in flight for this credential, the limit`);
    if (this.#total >= this.#options.total) return refuse('too_many_requests', `${this.#total} requests are in flight here, the limit`);
    this.#byTenant.set(tenant, own + 1);
    this.#total += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#total -= 1;
      const rest = (this.#byTenant.get(tenant) ?? 1) - 1;
      if (rest === 0) this.#byTenant.delete(tenant);
      else this.#byTenant.set(tenant, rest);
    };
  }
}
