import { OUTCOME } from '@cupel/protocol/wire/receipt';
import type { AnswerParams } from '@cupel/protocol/wire/receipt';

import { isSuspect, observe } from './sequence.ts';
import type { Sequence } from './sequence.ts';
import { judged } from './verdict.ts';
import type { Judgement } from './verdict.ts';

/** One answer as text, with tool calls in their JSON; usage as the engine counts. */
export interface ChatAnswer {
  readonly text: string;
  readonly finishReason: string | undefined;
}

export interface ChatCase {
  readonly params: AnswerParams;
  /** Of the receipt: what was charged. */
  readonly charged: { readonly inputUnits: bigint; readonly outputUnits: bigint; readonly outcome: bigint };
  readonly delivered: ChatAnswer;
  /** Of our own engine: same weights, same request, same seed. */
  readonly own: ChatAnswer & { readonly promptTokens: number; readonly completionTokens: number };
  readonly sequence: Sequence;
}

export interface ChatJudgement extends Judgement {
  readonly sequence: Sequence;
}

/**
 * Equal text passes, if it was charged as counted. A greedy answer must be equal; a sampled one that differs is weighed by the sequential
 * test. The worst that comes out is `suspect`: floating-point answers never slash.
 */
export const judgeChat = ({ params, charged, delivered, own, sequence }: ChatCase): ChatJudgement => {
  const whole = charged.outcome === OUTCOME.complete;
  const agreeing = agreeingTokens(delivered.text, own.text);
  const equal = whole ? delivered.text === own.text && delivered.finishReason === own.finishReason : own.text.startsWith(delivered.text);
  const result = (judgement: Judgement): ChatJudgement => ({ ...judgement, sequence: observe(sequence, agreeing, !equal) });
  if (equal) {
    const overcharged =
      charged.inputUnits !== BigInt(own.promptTokens) ||
      (whole ? charged.outputUnits !== BigInt(own.completionTokens) : charged.outputUnits > BigInt(own.completionTokens));
    return result(
      overcharged
        ? judged(
            'suspect',
            `the text is equal, but ${charged.inputUnits} and ${charged.outputUnits} tokens were charged where our engine counts ${own.promptTokens} and ${own.completionTokens}`,
          )
        : judged('pass', whole ? 'equal text and usage' : 'the delivered part is equal'),
    );
  }
  if (params.temperature === 0) return result(judged('suspect', `a greedy answer differs after ${agreeing} tokens`));
  const next = result(judged('unverifiable', `a sampled answer differs after ${agreeing} tokens; the sequential test goes on`));
  return isSuspect(next.sequence)
    ? {
        ...next,
        verdict: 'suspect',
        reason: `${next.sequence.differences} sampled answers differ; the sequential test calls it another model`,
      }
    : next;
};

/** Words and signs with the space before them: about as long as tokens, without a tokenizer. */
const PIECES = /\s*(?:[\p{L}\p{N}]+|[^\s\p{L}\p{N}])/gu;

const agreeingTokens = (a: string, b: string): number => {
  const [left, right] = [a.match(PIECES) ?? [], b.match(PIECES) ?? []];
  const first = left.findIndex((piece, i) => piece !== right[i]);
  return first === -1 ? left.length : first;
};
