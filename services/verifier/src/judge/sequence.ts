/**
 * Wald's sequential probability ratio test over tokens. Both texts share the same prefix up to their first difference, so every token before
 * it is an agreement and the difference one disagreement; what comes after says nothing, since the prefixes differ. Honest engines of other
 * hardware disagree once in some hundred tokens, a smaller model or a coarser quantisation once in some ten.
 */
export interface Sequence {
  /** log of P(seen | swapped) / P(seen | honest), never below 0: a long honest past buys no later lies. */
  readonly logRatio: number;
  readonly tokens: number;
  readonly differences: number;
}

export const START: Sequence = { logRatio: 0, tokens: 0, differences: 0 };

const HONEST_DIFFERENCE = 0.002;
const SWAPPED_DIFFERENCE = 0.05;
/** An honest provider is called suspect once in ten thousand tests. */
const FALSE_ALARM = 1e-4;
const THRESHOLD = Math.log((1 - 1e-2) / FALSE_ALARM);

const AGREEMENT = Math.log((1 - SWAPPED_DIFFERENCE) / (1 - HONEST_DIFFERENCE));
const DIFFERENCE = Math.log(SWAPPED_DIFFERENCE / HONEST_DIFFERENCE);

export const observe = (before: Sequence, agreeing: number, differs: boolean): Sequence => ({
  logRatio: Math.max(0, before.logRatio + agreeing * AGREEMENT + (differs ? DIFFERENCE : 0)),
  tokens: before.tokens + agreeing + (differs ? 1 : 0),
  differences: before.differences + (differs ? 1 : 0),
});

export const isSuspect = (sequence: Sequence): boolean => sequence.logRatio >= THRESHOLD;
