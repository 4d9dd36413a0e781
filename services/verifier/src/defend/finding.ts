import type { Judgement } from '../judge/verdict.ts';

/** right: our own answer was wrong. wrong: the verdict is, which means that the court or our record is broken. */
export const FINDINGS = ['right', 'wrong', 'unknownReceipt', 'unverifiable'] as const;
export type Finding = (typeof FINDINGS)[number];

export interface Defence {
  readonly finding: Finding;
  readonly reason: string;
}

/**
 * What a provider's own recomputation says of a verdict against it. Execution mode has no moves to answer: the contract ruled in the
 * transaction of the challenge, so all that is left is to know, and to wake somebody.
 */
export const findingOf = (own: Judgement): Defence => {
  switch (own.verdict) {
    case 'lie':
      return { finding: 'right', reason: 'our engine gave, and our key signed, a wrong answer; check the engine before anything else' };
    case 'pass':
      return { finding: 'wrong', reason: 'our answer is right by our own recomputation; keep state and payload, this must not happen' };
    case 'suspect':
    case 'unverifiable':
      return { finding: 'unverifiable', reason: own.reason };
  }
};

/** A receipt that a court has seen and this edge has never issued, while it has issued others of the model. */
export const UNKNOWN_RECEIPT: Defence = {
  finding: 'unknownReceipt',
  reason:
    'this edge did not issue the receipt; another edge of the owner did, its receipts were lost, or the receipt key is in other hands',
};
