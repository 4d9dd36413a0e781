/** What the choice knows of one candidate. */
export interface Rated<T> {
  readonly candidate: T;
  /** Peak-EWMA, milliseconds; 0 when nothing is known yet, so that it is tried. */
  readonly latencyMs: number;
  readonly inFlight: number;
  /** Estimate for this request in micro. */
  readonly price: number;
  /** 0 … 1. */
  readonly reputation: number;
  /** 0 … 1: the part of the prompt's prefix that this tenant sent there lately. */
  readonly affinity: number;
  /** False while its breaker is open. */
  readonly healthy: boolean;
}

export interface ChoiceOptions {
  /** Exponent of the price; 1: twice the price must be half the latency. */
  readonly alpha: number;
  /** How much a warm prefix may take off, 0 … 1. */
  readonly affinityWeight: number;
  /** Milliseconds that nobody notices: faster than this does not buy a higher price. */
  readonly latencyFloorMs: number;
}

export const DEFAULT_CHOICE: ChoiceOptions = { alpha: 1, affinityWeight: 0.5, latencyFloorMs: 50 };

/** Below so many candidates all are compared; above, two drawn ones (power of two choices). */
export const SCAN_LIMIT = 64;

/** Cost of a request on an endpoint that is busy but has not answered once. */
const UNKNOWN_LATENCY_MS = 1000;
const LEAST_REPUTATION = 0.01;

/** Lower is better: latency × (in flight + 1) × price^α ÷ reputation, less affinity. */
export const scoreOf = (rated: Rated<unknown>, options: ChoiceOptions): number => {
  const unknown = rated.latencyMs === 0 && rated.inFlight > 0;
  const latency = unknown ? UNKNOWN_LATENCY_MS : Math.max(rated.latencyMs, options.latencyFloorMs);
  const cost = latency * (rated.inFlight + 1) * Math.max(rated.price, 1) ** options.alpha;
  return (cost / Math.max(rated.reputation, LEAST_REPUTATION)) * (1 - options.affinityWeight * Math.min(Math.max(rated.affinity, 0), 1));
};

/**
 * The best healthy candidate, undefined when there is none. `random` (0 ≤ r < 1) breaks ties by where the scan starts, and draws the two
 * above {@link SCAN_LIMIT}.
 */
export const choose = <T>(rated: readonly Rated<T>[], random: () => number, options: ChoiceOptions = DEFAULT_CHOICE): T | undefined => {
  const healthy = rated.filter((r) => r.healthy);
  if (healthy.length === 0) return undefined;
  const start = Math.floor(random() * healthy.length);
  if (healthy.length > SCAN_LIMIT) {
    const other = (start + 1 + Math.floor(random() * (healthy.length - 1))) % healthy.length;
    const [a, b] = [healthy[start]!, healthy[other]!];
    return (scoreOf(a, options) <= scoreOf(b, options) ? a : b).candidate;
  }
  let best: Rated<T> | undefined;
  let bestScore = Number.POSITIVE_INFINITY;
  for (let i = 0; i < healthy.length; i++) {
    const one = healthy[(start + i) % healthy.length]!;
    const score = scoreOf(one, options);
    if (score < bestScore) [best, bestScore] = [one, score];
  }
  return best?.candidate;
};
