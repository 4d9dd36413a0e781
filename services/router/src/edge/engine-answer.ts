import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';

import { addressOf } from '../stream/address.ts';
import { errorOf } from '../stream/error-answer.ts';
import { fetchWhole, UpstreamError } from '../stream/exchange.ts';
import type { UpstreamRequest, WholeAnswer } from '../stream/exchange.ts';
import type { EdgeContext, EdgeJob } from './job.ts';

export const engineRequest = ({ options }: EdgeContext, job: EdgeJob, path: string, body: Uint8Array, accept: string): UpstreamRequest => ({
  origin: addressOf(job.engine.url).origin,
  path,
  method: 'POST',
  headers: { 'content-type': 'application/json', accept },
  body,
  headersTimeoutMs: options.headersTimeoutMs,
  idleTimeoutMs: options.idleTimeoutMs,
});

/** What an engine's refusal means to the client: its own fault (400, 413, 422) keeps the engine's words, all else is the engine's. */
export const engineRefusal = (answer: Pick<WholeAnswer, 'status' | 'body'>): Refusal => {
  const error = errorOf(answer.status, answer.body);
  if (answer.status !== 400 && answer.status !== 413 && answer.status !== 422)
    return refuse('engine_failed', `the engine answered with status ${answer.status}`);
  return { reason: 'invalid_field', message: error.message, ...(error.param === undefined ? {} : { param: error.param }) };
};

/** A whole answer with status 200. Nothing is charged otherwise. */
export const askEngine = async (
  context: EdgeContext,
  job: EdgeJob,
  path: string,
  body: Uint8Array,
): Promise<WholeAnswer | Refusal | 'client_left'> => {
  const { left } = job.exchange.reply;
  try {
    const answer = await fetchWhole(
      context.deps.upstream,
      engineRequest(context, job, path, body, 'application/json'),
      context.options.answerBytes,
      left,
    );
    if (left.aborted) return 'client_left';
    return answer.status === 200 ? answer : engineRefusal(answer);
  } catch (error) {
    if (left.aborted) return 'client_left';
    if (!(error instanceof UpstreamError)) throw error;
    context.deps.logger.warn({ modelId: job.engine.modelId, kind: error.kind }, 'an engine failed before its answer');
    return refuse('engine_failed', 'the engine failed before it answered');
  }
};
