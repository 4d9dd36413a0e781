import { priceOf } from '@cupel/protocol/money';

import { PrefixIndex, prefixBlocks } from '../choose/affinity.ts';
import { candidateKey } from '../choose/candidates.ts';
import type { Candidate } from '../choose/candidates.ts';
import { PeakEwma } from '../choose/latency.ts';
import { choose } from '../choose/score.ts';
import type { GatewayDeps } from './deps.ts';
import type { Job } from './job.ts';

const DECAY_MS = 10_000;
const PREFIXES = 65_536;

/** Output tokens of a typical answer, for comparing prices: a request's own limit is a ceiling, not an estimate. */
const TYPICAL_OUTPUT = 256n;

/** A model that nobody has checked yet stands below one that passed, and above one that is suspect. */
const UNCHECKED = 0.75;

/** What this gateway has learned about providers, and its choice by it. */
export class Ranking {
  readonly #deps: Pick<GatewayDeps, 'market' | 'health' | 'clock' | 'random'>;
  readonly #latency = new PeakEwma(DECAY_MS);
  readonly #prefixes = new PrefixIndex(PREFIXES);
  readonly #inFlight = new Map<string, number>();

  constructor(deps: Pick<GatewayDeps, 'market' | 'health' | 'clock' | 'random'>) {
    this.#deps = deps;
  }

  pick(job: Omit<Job, 'hold'>, candidates: readonly Candidate[]): Candidate | undefined {
    const nowMs = this.#deps.clock.nowMs();
    const blocks = job.kind === 'chat' ? prefixBlocks(job.tenant.id, job.body) : [];
    const output = job.bound.outputUnits < TYPICAL_OUTPUT ? job.bound.outputUnits : TYPICAL_OUTPUT;
    const picked = choose(
      candidates.map((candidate) => {
        const key = candidateKey(candidate);
        return {
          candidate,
          latencyMs: this.#latency.get(key, nowMs),
          inFlight: this.#inFlight.get(key) ?? 0,
          price: Number(priceOf(candidate.prices, job.bound.inputUnits, output)),
          reputation: this.#deps.market.reputation(candidate.modelId)?.score ?? UNCHECKED,
          affinity: this.#prefixes.affinity(blocks, key),
          healthy: this.#deps.health.allows(key),
        };
      }),
      () => this.#deps.random.unit(),
    );
    if (picked) this.#prefixes.remember(blocks, candidateKey(picked));
    return picked;
  }

  observe(candidate: Candidate, ms: number): void {
    this.#latency.observe(candidateKey(candidate), ms, this.#deps.clock.nowMs());
  }

  /** Counts an attempt as load while it runs. */
  async busy<T>(candidate: Candidate, run: () => Promise<T>): Promise<T> {
    const key = candidateKey(candidate);
    this.#inFlight.set(key, (this.#inFlight.get(key) ?? 0) + 1);
    try {
      return await run();
    } finally {
      const rest = (this.#inFlight.get(key) ?? 1) - 1;
      if (rest === 0) this.#inFlight.delete(key);
      else this.#inFlight.set(key, rest);
    }
  }
}
