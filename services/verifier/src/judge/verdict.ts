/** lie: proved bit by bit, and the only one that may be disputed. suspect: never slashes. unverifiable: nothing can be said, and nothing is. */
export const VERDICTS = ['pass', 'lie', 'suspect', 'unverifiable'] as const;
export type Verdict = (typeof VERDICTS)[number];

export interface Judgement {
  readonly verdict: Verdict;
  /** One sentence for people; no content of requests or answers. */
  readonly reason: string;
}

export const judged = (verdict: Verdict, reason: string): Judgement => ({ verdict, reason });
