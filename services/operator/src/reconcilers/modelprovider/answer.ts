import type { ModelProvider } from '@cupel/protocol/crd/objects';

import { protocolOf } from '../../engines/engine.ts';
import { asBefore, fails, holds, unknown } from './findings.ts';
import type { Observed, ObservedAnswer } from './observed.ts';
import type { Action, Finding } from './plan.ts';
import { engineUrl } from './render.ts';
import type { Verified } from './workload.ts';

/** An answer is asked for again after this long; a failed try sooner. */
export const PROBE_AGAIN_MS = 600_000;
export const PROBE_RETRY_MS = 3_000;

const TYPE = 'AnswerSeen';

type Answered = Extract<ObservedAnswer, { state: 'answered' }>;

/** 'stale': the answer is to the question of a pod that is gone. */
export const judge = (kind: 'chat' | 'integer', verified: Verified, answer: Answered): 'right' | 'stale' | { readonly wrong: string } => {
  const { value } = answer;
  if (kind === 'integer') {
    const asked = verified.probes.find((probe) => probe.inputHex === answer.input);
    if (asked === undefined) return 'stale';
    return value.output === asked.outputHex
      ? 'right'
      : { wrong: `the answer ${value.output ?? '(none)'} is not the ${asked.outputHex} that the verified weights give` };
  }
  if ((value.text ?? '').trim() === '') return { wrong: 'the answer has no text' };
  if ((value.promptTokens ?? 0) <= 0 || (value.completionTokens ?? 0) <= 0) return { wrong: 'the answer has no token counts (usage)' };
  return 'right';
};

/** Whether an answer was seen, through the edge, whose content is right. */
export const answerSeen = (o: Observed, object: ModelProvider, verified: Verified | undefined): Finding => {
  const waiting = unknown(TYPE, 'WaitingForWorkload', 'no pod is ready to be asked');
  if (verified === undefined || (o.workload.deployment?.ready ?? 0) === 0) return asBefore(object, waiting);
  const asking = unknown(TYPE, 'Asking', `edge ${object.spec.edgeRef.name} is asked to send a probe`);
  switch (o.answer.state) {
    case 'unasked':
      return asBefore(object, asking);
    case 'failed':
      return fails(TYPE, 'NoAnswer', o.answer.message);
    case 'answered': {
      const verdict = judge(protocolOf(object.spec.verification.mode), verified, o.answer);
      if (verdict === 'right') return holds(TYPE, 'Answered', 'an answer with the right content came through the edge');
      if (verdict === 'stale') return asBefore(object, asking);
      return fails(TYPE, 'WrongAnswer', `${verdict.wrong}; correct spec.engine.image or its arguments`);
    }
  }
};

/** Asks when nothing is known about the pods as they are, when the last try failed, and now and then. */
export const probeAction = (o: Observed, object: ModelProvider, verified: Verified | undefined, template: string): Action | undefined => {
  if (verified === undefined || (o.workload.deployment?.ready ?? 0) === 0 || o.workload.deployment?.template !== template) return undefined;
  const kind = protocolOf(object.spec.verification.mode);
  const verdict = o.answer.state === 'answered' ? judge(kind, verified, o.answer) : 'none';
  const age = o.answer.state === 'unasked' || verdict === 'stale' ? Number.POSITIVE_INFINITY : o.nowMs - o.answer.atMs;
  if (age < (verdict === 'right' ? PROBE_AGAIN_MS : PROBE_RETRY_MS)) return undefined;
  const input = kind === 'integer' ? verified.probes[0]?.inputHex : undefined;
  return {
    kind: 'probe',
    condition: TYPE,
    workload: template,
    request: {
      version: 1,
      url: engineUrl(o.namespace, o.name),
      publicName: object.spec.model.name,
      kind,
      ...(input === undefined ? {} : { input }),
    },
  };
};
