import { micro } from '@cupel/protocol/money';
import type { BaseUnits } from '@cupel/protocol/money';
import { isReason, refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import type { ChargeRequest } from '@cupel/protocol/wire/bus';
import type { ReceiptEnvelope } from '@cupel/protocol/wire/receipt';

import { isRefusal } from '../admit/refusals.ts';
import type { Candidate } from '../choose/candidates.ts';
import type { Ticket } from '../choose/health.ts';
import type { Charger } from '../meter/charger.ts';
import type { RequestOutcome } from '../meter/observer.ts';
import { payloadOf } from '../meter/payload.ts';
import { decodeEnvelope } from '../meter/receipt-header.ts';
import type { UpstreamError, WholeAnswer } from '../stream/exchange.ts';
import { errorOf, requiredOf } from '../stream/error-answer.ts';
import { sendBytes, sendRefusal } from '../stream/respond.ts';
import type { GatewayDeps, GatewayOptions } from './deps.ts';
import type { Job } from './job.ts';
import type { OutgoingBook, OutgoingHold } from './outgoing.ts';
import { lookUp, verdictOn } from './provider.ts';
import type { AttemptIds } from './provider.ts';
import type { Relayed } from './relay.ts';
import type { Sessions } from './sessions.ts';

/** What came of asking one provider. */
export type AttemptResult =
  /** The client has its answer, or is gone. */
  | { readonly kind: 'done'; readonly outcome: RequestOutcome }
  /** Nothing reached the client and nothing is charged: another provider may be asked. `transient`: the same one too. */
  | { readonly kind: 'next'; readonly refusal: Refusal; readonly transient: boolean }
  /** No provider can help: the request itself is at fault. */
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** `again`: the edge only wants a session, or a voucher that reaches `require`. */
export type Once = AttemptResult | { readonly kind: 'again'; readonly require?: BaseUnits };

export interface AttemptContext {
  readonly deps: GatewayDeps;
  readonly options: GatewayOptions;
  readonly outgoing: OutgoingBook;
  readonly sessions: Sessions;
  readonly charger: Charger;
  /** Duration of a served request, for the choice of later ones. */
  readonly observeLatency: (candidate: Candidate, ms: number) => void;
}

/** One attempt, once its answer or the lack of it is known. */
export interface About {
  readonly context: AttemptContext;
  readonly job: Job;
  readonly candidate: Candidate;
  readonly hold: OutgoingHold;
  readonly ids: AttemptIds;
  readonly ticket: Ticket;
  readonly startedMs: number;
}

export const next = (refusal: Refusal, transient = false): AttemptResult => ({ kind: 'next', refusal, transient });

/** Headers of an answer that say which attempt served it. */
export const answerHeaders = (ids: AttemptIds, candidate: Candidate): Record<string, string> => ({
  'x-cupel-receipt': ids.requestId,
  'x-cupel-provider': candidate.modelId,
});

/** A whole answer: verified, charged, and only then delivered. */
export const whole = async (about: About, answer: WholeAnswer): Promise<Once> => {
  const { context, job, candidate, ids, ticket, startedMs } = about;
  const { deps } = context;
  const output = job.output(ids.salt, answer.body);
  const envelope = decodeEnvelope(answer.headers['x-cupel-receipt']);
  if (!output || job.stream) return unfit(about, 'receipt_unfit', 'the answer is not of the kind that was asked for');
  if (!envelope) return unfit(about, 'receipt_missing', 'the answer came without a receipt');
  const verdict = verdictOn(deps, envelope, { ...about, delivered: output });
  if (!verdict.fits) return unfit(about, 'receipt_unfit', verdict.why);
  const charged = await charge(about, envelope, output.bytes);
  if (charged) {
    ticket.dropped();
    return { kind: 'refused', refusal: charged };
  }
  succeeded(about, envelope);
  if (job.reply.left.aborted) return { kind: 'done', outcome: 'client_left' };
  deps.observer.firstByte(job.kind, deps.clock.nowMs() - startedMs);
  sendBytes(job.reply, 200, 'application/json', answer.body, answerHeaders(ids, candidate));
  return { kind: 'done', outcome: 'ok' };
};

/** A stream that ended in order; its receipt came behind it. */
export const streamed = async (about: About, relayed: Relayed, envelope: ReceiptEnvelope | undefined): Promise<Once> => {
  const { context, job, ids, ticket } = about;
  if (!job.reply.started && !relayed.done) return unfit(about, 'upstream_failed', 'the stream was empty');
  const output = job.output(ids.salt, relayed.bytes);
  const verdict = envelope && output ? verdictOn(context.deps, envelope, { ...about, delivered: output }) : undefined;
  if (envelope && output && verdict?.fits) {
    const refusal = await charge(about, envelope, output.bytes);
    if (refusal) context.deps.logger.error({ requestId: ids.requestId, reason: refusal.reason }, 'a delivered answer could not be charged');
    if (relayed.done && !relayed.failedInside) succeeded(about, envelope);
    else ticket.failed('engine failed in mid-stream');
  } else {
    unfit(about, envelope ? 'receipt_unfit' : 'receipt_missing', verdict?.fits === false ? verdict.why : 'no receipt behind the stream');
  }
  if (job.reply.left.aborted) return { kind: 'done', outcome: 'client_left' };
  if (relayed.done && !relayed.failedInside) return finishStream(about, relayed);
  if (relayed.failedInside) job.reply.end();
  else sendRefusal(job.reply, refuse('stream_cut', 'the provider ended the stream before it was whole'));
  return { kind: 'done', outcome: 'stream_cut' };
};

/** The client sees `[DONE]` only now, when the ledger has taken the receipt (or the receipt was refused, and nothing is charged). */
const finishStream = ({ job }: About, relayed: Relayed): Once => {
  job.reply.write(relayed.tail);
  job.reply.end();
  return { kind: 'done', outcome: 'ok' };
};

/** No answer, or only a part of one. */
export const failed = async (about: About, error: UpstreamError, relayed: Relayed | undefined): Promise<Once> => {
  const { context, job, ticket } = about;
  const left = job.reply.left.aborted;
  const began = relayed !== undefined && relayed.bytes.length > 0;
  context.deps.observer.attempt(left ? 'left' : error.kind);
  if (left) ticket.dropped();
  else ticket.failed(error.kind);
  const whole = relayed?.done === true && !relayed.failedInside;
  const told = !left && !whole && job.reply.started;
  if (told) sendRefusal(job.reply, refuse('stream_cut', 'the connection to the provider was cut'));
  const by = left && error.kind === 'aborted' ? 'us' : 'elsewhere';
  if (error.sent) await settleCut(about, relayed, began, by);
  if (left) return { kind: 'done', outcome: 'client_left' };
  if (whole) return finishStream(about, relayed);
  if (told) return { kind: 'done', outcome: 'stream_cut' };
  const refusal =
    error.kind === 'timeout'
      ? refuse('upstream_timeout', 'the provider did not answer in time')
      : refuse(
          'upstream_failed',
          error.kind === 'refused_address' ? "the provider's address is not allowed" : 'the provider failed before it answered',
        );
  return next(refusal, error.kind === 'connect' || error.kind === 'cut');
};

/** The outcome is unknown until the edge is asked; what was delivered is charged by the receipt it holds, anything else is not. */
const settleCut = async (about: About, relayed: Relayed | undefined, began: boolean, by: 'us' | 'elsewhere'): Promise<void> => {
  const { context, job, candidate, hold, ids } = about;
  const { deps } = context;
  const found = await lookUp(deps, candidate, hold, ids, began);
  if (found.kind === 'none') return;
  if (found.kind === 'unknown') {
    hold.unknown();
    deps.logger.warn(
      { requestId: ids.requestId, modelId: candidate.modelId },
      'the outcome of an attempt stays unknown; nothing is charged for it',
    );
    return;
  }
  const bytes = relayed?.bytes ?? Buffer.alloc(0);
  const output = began ? job.output(ids.salt, bytes) : undefined;
  const verdict = output
    ? verdictOn(deps, found.envelope, {
        ...about,
        delivered: { hash: output.hash, cut: { by, contentChunks: relayed?.contentChunks ?? 0 } },
      })
    : ({ fits: false, why: 'nothing was delivered' } as const);
  if (!verdict.fits) {
    hold.unknown();
    deps.observer.unfitReceipt(verdict.why);
    deps.logger.warn(
      { requestId: ids.requestId, modelId: candidate.modelId, why: verdict.why },
      'a provider charged for what was not delivered; not passed on',
    );
    return;
  }
  await charge(about, found.envelope, bytes);
};

/** Passes the receipt to the ledger; a refusal, if it does not take it. */
const charge = async (about: About, envelope: ReceiptEnvelope, output: Uint8Array): Promise<Refusal | undefined> => {
  const { context, job, candidate, hold, ids } = about;
  const { receipt } = envelope;
  const request: Omit<ChargeRequest, 'leaseId'> = {
    version: 1,
    requestId: ids.requestId,
    price: micro(receipt.price),
    publicName: job.publicName,
    modelId: candidate.modelId,
    payload: payloadOf(ids.salt, job.input, output),
    envelope,
  };
  const result = await context.charger.close(job.hold, job.tenant.channelId, request);
  if (isRefusal(result)) {
    hold.unknown();
    return result;
  }
  hold.receipted(receipt);
  context.deps.observer.billed(job.kind, receipt.inputUnits, receipt.outputUnits, request.price);
  return undefined;
};

const succeeded = ({ context, job, candidate, ticket, startedMs }: About, envelope: ReceiptEnvelope): void => {
  const elapsed = context.deps.clock.nowMs() - startedMs;
  // Chats differ in length: what compares them is the time per token.
  const units = job.kind === 'chat' ? Math.max(1, Number(envelope.receipt.outputUnits)) : 1;
  context.observeLatency(candidate, Math.max(0.01, elapsed / units));
  context.deps.observer.attempt('ok');
  ticket.succeeded();
};

const unfit = (about: About, reason: 'receipt_missing' | 'receipt_unfit' | 'upstream_failed', why: string): AttemptResult => {
  const { context, candidate, ids, ticket } = about;
  context.deps.observer.attempt('receipt');
  context.deps.observer.unfitReceipt(why);
  context.deps.logger.warn(
    { requestId: ids.requestId, modelId: candidate.modelId, why },
    'an answer without a fitting receipt; not charged',
  );
  ticket.failed(reason);
  return next(refuse(reason, 'the provider gave no answer with a fitting receipt'));
};

/** The edge said no. */
export const refused = (about: About, answer: WholeAnswer): Once => {
  const { context, candidate, ticket, hold } = about;
  const { deps } = context;
  const error = errorOf(answer.status, answer.body);
  if (answer.status === 401 && error.code.startsWith('session_')) return { kind: 'again' };
  if (answer.status === 402) {
    const required = requiredOf(answer.headers);
    if (required !== undefined && required > hold.value.voucher.maxClaimableAmount) return { kind: 'again', require: required };
    context.outgoing.forget(candidate.payout);
  }
  deps.observer.attempt('status');
  deps.logger.debug({ modelId: candidate.modelId, status: answer.status, code: error.code }, 'a provider refused a request');
  if (answer.status === 400 || answer.status === 413 || answer.status === 422) {
    ticket.dropped();
    const reason =
      isReason(error.code) && ['invalid_field', 'malformed_json', 'body_too_large', 'wrong_protocol'].includes(error.code)
        ? error.code
        : 'invalid_field';
    return { kind: 'refused', refusal: { reason, message: error.message, ...(error.param === undefined ? {} : { param: error.param }) } };
  }
  if (answer.status >= 500 && error.code !== 'draining') ticket.failed(`status ${answer.status}`);
  else ticket.dropped();
  return next(refuse('upstream_failed', `the provider answered with status ${answer.status}`));
};
