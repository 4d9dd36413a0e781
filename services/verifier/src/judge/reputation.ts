import type { Hex } from '@cupel/protocol/hex';
import type { Reputation } from '@cupel/protocol/wire/projections';

import type { Verdict } from './verdict.ts';

export type Tally = Readonly<Record<Verdict, number>>;

/** A model that nobody has checked starts at three in four; good answers bring it near 1, a suspicion weighs as much as four of them. */
const PRIOR_GOOD = 3;
const PRIOR_ALL = 4;
const SUSPICION = 4;
/** What one proved lie leaves of a score. */
const AFTER_A_LIE = 0.01;

/** 0 … 1. A proved lie leaves a hundredth, and no number of good answers brings the rest back. Unverifiable answers count for nothing. */
export const scoreOf = (tally: Tally): number =>
  ((tally.pass + PRIOR_GOOD) / (tally.pass + SUSPICION * tally.suspect + PRIOR_ALL)) * AFTER_A_LIE ** tally.lie;

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
