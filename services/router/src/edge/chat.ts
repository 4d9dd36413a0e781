import { saltedHash } from '@cupel/protocol/ids';
import { errorBody, refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import { OUTCOME } from '@cupel/protocol/wire/receipt';
import type { AnswerParams, ReceiptEnvelope } from '@cupel/protocol/wire/receipt';

import { fixedParams, parseJsonObject } from '../admit/chat-request.ts';
import type { ChatRequest } from '../admit/chat-request.ts';
import { DEFAULT_MAX_TOKENS } from '../admit/hold.ts';
import { isRefusal } from '../admit/refusals.ts';
import { addressOf } from '../stream/address.ts';
import type { RequestOutcome } from '../meter/observer.ts';
import { encodeEnvelope } from '../meter/receipt-header.ts';
import { billedUnits } from '../meter/usage.ts';
import { errorEvent, usageOf } from '../stream/chat-events.ts';
import { gather } from '../stream/exchange.ts';
import type { WholeAnswer } from '../stream/exchange.ts';
import { sendBytes } from '../stream/respond.ts';
import { spliceMembers } from '../stream/splice.ts';
import { closeJob } from './close.ts';
import type { EdgeContext, EdgeJob } from './job.ts';
import { askEngine, engineRefusal, engineRequest } from './engine-answer.ts';
import { EngineStream } from './engine-stream.ts';
import type { EngineStreamEnd } from './engine-stream.ts';

interface Prepared {
  /** The client's bytes with what the edge had to fix. */
  readonly body: Buffer;
  readonly params: AnswerParams;
}

/** A seed where the client gave none, a limit that the hold covers, usage for the bill, the engine's own name of the model. */
const prepare = (context: EdgeContext, job: EdgeJob, request: ChatRequest): Prepared => {
  const seed = request.seed ?? context.deps.seed();
  const maxTokens = request.maxTokens ?? DEFAULT_MAX_TOKENS;
  const set: Record<string, unknown> = {};
  if (request.seed === undefined) set['seed'] = seed;
  if (!request.namesMaxTokens) set['max_tokens'] = maxTokens;
  if (request.stream && !request.wantsUsage) set['stream_options'] = { ...request.streamOptions, include_usage: true };
  if (request.model !== job.engine.publicName) set['model'] = job.engine.publicName;
  const quantization = job.engine.quantization;
  return {
    body: spliceMembers(job.body, set),
    params: { ...fixedParams(request), seed, max_tokens: maxTokens, ...(quantization === undefined ? {} : { quantization }) },
  };
};

export const serveChat = (context: EdgeContext, job: EdgeJob, request: ChatRequest): Promise<RequestOutcome | Refusal> => {
  const prepared = prepare(context, job, request);
  return request.stream ? serveStream(context, job, request, prepared) : serveWhole(context, job, prepared);
};

const chatPath = (job: EdgeJob): string => `${addressOf(job.engine.url).base}/v1/chat/completions`;

const serveWhole = async (context: EdgeContext, job: EdgeJob, { body, params }: Prepared): Promise<RequestOutcome | Refusal> => {
  const { deps } = context;
  const startedMs = deps.clock.nowMs();
  const answer = await askEngine(context, job, chatPath(job), body);
  if (isRefusal(answer) || answer === 'client_left') return answer;
  const json = parseJsonObject(answer.body);
  const usage = json.ok ? usageOf(json.value) : undefined;
  if (!usage) return refuse('engine_failed', 'the engine gave no answer with its usage');
  const envelope = await close(context, job, params, answer.body, OUTCOME.complete, { usage, contentChunks: 0 });
  if (isRefusal(envelope)) return envelope;
  deps.observer.firstByte('chat', deps.clock.nowMs() - startedMs);
  sendBytes(job.exchange.reply, 200, 'application/json', answer.body, { 'x-cupel-receipt': encodeEnvelope(envelope) });
  return 'ok';
};

const serveStream = async (
  context: EdgeContext,
  job: EdgeJob,
  request: ChatRequest,
  { body, params }: Prepared,
): Promise<RequestOutcome | Refusal> => {
  const { reply } = job.exchange;
  const ended = await stream(context, job, request, body);
  if ('status' in ended) return engineRefusal(ended);
  if (ended.error === undefined) return finish(context, job, params, ended, OUTCOME.complete, 'ok');
  if (reply.left.aborted) {
    // Only what was delivered is charged; a gateway that left before the first content owes nothing.
    if (ended.sent.length > 0) await finish(context, job, params, ended, OUTCOME.clientLeft, 'client_left');
    return 'client_left';
  }
  context.deps.logger.warn({ modelId: job.engine.modelId, err: ended.error }, 'an engine failed in mid-stream');
  if (!reply.started) return refuse('engine_failed', 'the engine failed before its first token');
  const notice = errorEvent(errorBody(refuse('stream_cut', 'the engine failed in mid-stream')));
  reply.write(notice);
  return finish(context, job, params, { ...ended, sent: Buffer.concat([ended.sent, notice]) }, OUTCOME.engineFailed, 'stream_cut');
};

const stream = (context: EdgeContext, job: EdgeJob, request: ChatRequest, body: Buffer): Promise<EngineStreamEnd | WholeAnswer> =>
  new Promise((resolve) => {
    const { deps, options } = context;
    const { reply } = job.exchange;
    const startedMs = deps.clock.nowMs();
    const nothing = (error: Error): void => resolve({ done: false, sent: Buffer.alloc(0), contentChunks: 0, usage: undefined, error });
    let engine: EngineStream | undefined;
    const call = deps.upstream.send(engineRequest(context, job, chatPath(job), body, 'text/event-stream'), {
      head(head, own) {
        const isStream = (head.headers['content-type'] ?? '').startsWith('text/event-stream');
        if (head.status !== 200 || !isStream) {
          const answer = (whole: WholeAnswer): void => resolve(whole.status === 200 ? { ...whole, status: 502 } : whole);
          return gather(head, options.answerBytes, own, { answer, failed: nothing });
        }
        engine = new EngineStream({
          reply,
          call: own,
          wantsUsage: request.wantsUsage,
          limit: options.answerBytes,
          begin: () => {
            deps.observer.firstByte('chat', deps.clock.nowMs() - startedMs);
            reply.head(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' }, ['x-cupel-receipt']);
          },
          ended: resolve,
        });
        return engine;
      },
      failed: nothing,
    });
    const leave = (): void => (engine ? engine.clientLeft() : call.abort());
    if (reply.left.aborted) leave();
    else reply.left.addEventListener('abort', leave, { once: true });
  });

/** Charges a stream and sends its receipt behind it. Without a receipt the gateway pays nothing, so a failure here is our loss alone. */
const finish = async (
  context: EdgeContext,
  job: EdgeJob,
  params: AnswerParams,
  ended: EngineStreamEnd,
  outcome: bigint,
  result: RequestOutcome,
): Promise<RequestOutcome> => {
  const envelope = await close(context, job, params, ended.sent, outcome, ended);
  if (isRefusal(envelope)) {
    context.deps.logger.error(
      { requestId: job.caller.signed.requestId, reason: envelope.reason },
      'a delivered stream could not be charged',
    );
    job.exchange.reply.end();
    return envelope.reason;
  }
  job.exchange.reply.end({ 'x-cupel-receipt': encodeEnvelope(envelope) });
  return result;
};

const close = (
  context: EdgeContext,
  job: EdgeJob,
  params: AnswerParams,
  output: Uint8Array,
  outcome: bigint,
  counted: Pick<EngineStreamEnd, 'usage' | 'contentChunks'>,
): Promise<ReceiptEnvelope | Refusal> =>
  closeJob(context, job, {
    units: billedUnits({ usage: counted.usage, contentChunks: counted.contentChunks, bodyBytes: job.body.length, bound: job.bound }),
    params,
    input: job.body,
    output,
    outputHash: saltedHash(context.deps.keccak, job.caller.signed.salt, output),
    outcome,
  });
