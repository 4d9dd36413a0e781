import type { Hex } from '@cupel/protocol/hex';

import { judged } from './verdict.ts';
import type { Judgement } from './verdict.ts';

/** Hashes of one answer of an integer model: as signed, as delivered, and as it should have been. */
export interface IntegerAnswer {
  readonly receipt: { readonly inputHash: Hex; readonly outputHash: Hex };
  /** Recomputed from the bytes that the gateway kept. */
  readonly kept: { readonly inputHash: Hex; readonly outputHash: Hex };
  /** Of the right output, computed from hash-checked weights; undefined: the model does not take this input. */
  readonly right: Hex | undefined;
  readonly ownRoot: Hex;
  readonly registeredRoot: Hex;
}

/**
 * Equal, or a lie: an integer model has one right answer, bit by bit. What was kept must fit the receipt on both sides first; otherwise our
 * own record is what is wrong, and nobody is accused.
 */
export const judgeInteger = ({ receipt, kept, right, ownRoot, registeredRoot }: IntegerAnswer): Judgement => {
  if (registeredRoot !== ownRoot) return judged('unverifiable', 'the registered verification root is not the one of these weights');
  if (kept.inputHash !== receipt.inputHash) return judged('unverifiable', 'the kept input does not fit the receipt');
  if (kept.outputHash !== receipt.outputHash) return judged('unverifiable', 'the kept output does not fit the receipt');
  if (right === undefined) return judged('unverifiable', 'the model does not take an input of this length');
  return right === receipt.outputHash
    ? judged('pass', 'equal bit by bit')
    : judged('lie', 'the signed output is not what the registered weights give');
};
