import type { Hex } from '@cupel/protocol/hex';
import type { Reputation } from '@cupel/protocol/wire/projections';

import type { Verdict } from './verdict.ts';

export type Tally = Readonly<Record<Verdict, number>>;

/** Passed checks that one suspicion weighs as much as. */
const SUSPICION = 4;
/** What one proved lie leaves of a score. */
const AFTER_A_LIE = 0.01;

/**
 * 1 without a stain. Suspicions wear it down and good answers heal it; a proved lie leaves a hundredth, and no number of good answers brings
 * the rest back. Unverifiable answers count for nothing.
 */
export const scoreOf = (tally: Tally): number => {
  const weighed = tally.pass + SUSPICION * tally.suspect;
  const clean = tally.suspect === 0 ? 1 : (tally.pass + 1) / (weighed + 1);
  return clean * AFTER_A_LIE ** tally.lie;
};

export const reputationOf = (modelId: Hex, tally: Tally, unarbitrated: boolean): Reputation => ({
  version: 1,
  modelId,
  checked: tally.pass + tally.lie + tally.suspect,
  passed: tally.pass,
  lies: tally.lie,
  suspect: tally.suspect,
  score: scoreOf(tally),
  unarbitrated,
});
