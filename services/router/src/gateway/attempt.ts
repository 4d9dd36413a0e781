import type { BaseUnits } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import type { ReceiptEnvelope } from '@cupel/protocol/wire/receipt';

import { mostPrice } from '../admit/hold.ts';
import { isRefusal } from '../admit/refusals.ts';
import { candidateKey } from '../choose/candidates.ts';
import type { Candidate } from '../choose/candidates.ts';
import type { Ticket } from '../choose/health.ts';
import { decodeEnvelope } from '../meter/receipt-header.ts';
import { gather, UpstreamError } from '../stream/exchange.ts';
import type { WholeAnswer } from '../stream/exchange.ts';
import type { Job } from './job.ts';
import { answerHeaders, failed, next, refused, streamed, whole } from './outcome.ts';
import type { AttemptContext, AttemptResult, Once } from './outcome.ts';
import type { OutgoingHold } from './outgoing.ts';
import { requestTo } from './provider.ts';
import type { AttemptIds } from './provider.ts';
import { Relay } from './relay.ts';
import type { Relayed } from './relay.ts';

type Arrival =
  | { readonly kind: 'whole'; readonly answer: WholeAnswer }
  | { readonly kind: 'streamed'; readonly relayed: Relayed; readonly envelope: ReceiptEnvelope | undefined }
  | { readonly kind: 'failed'; readonly error: UpstreamError; readonly relayed: Relayed | undefined };

/** Asks one provider, once more when it only wants a session or a higher voucher. */
export const attempt = async (context: AttemptContext, job: Job, candidate: Candidate): Promise<AttemptResult> => {
  const { deps, sessions } = context;
  const ticket = deps.health.begin(candidateKey(candidate));
  let require: BaseUnits | undefined;
  try {
    const notAllowed = deps.refuseEndpoint(candidate.endpoint);
    if (notAllowed !== undefined) throw new UpstreamError('refused_address', notAllowed, { sent: false });
    await sessions.reach(candidate.endpoint);
    for (let tries = 0; tries < 3; tries++) {
      const hold = await payProvider(context, job, candidate, require);
      if (isRefusal(hold)) {
        if (require !== undefined) ticket.failed('asks for a voucher that it does not get');
        return next(hold);
      }
      try {
        const refusal = await sessions.ensure(candidate.endpoint, hold.value);
        if (refusal) {
          deps.observer.attempt('session');
          ticket.failed('session refused');
          return next(refusal);
        }
        const result = await once(context, job, candidate, hold, ticket);
        if (result.kind !== 'again') return result;
        require = result.require;
        if (require === undefined) sessions.forget(candidate.endpoint, hold.value);
      } finally {
        hold.release();
      }
    }
    deps.observer.attempt('payment');
    return next(refuse('upstream_failed', 'the provider does not accept our voucher'));
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    return unreachable(context, candidate, ticket, error);
  } finally {
    ticket.dropped();
  }
};

const unreachable = ({ deps }: AttemptContext, candidate: Candidate, ticket: Ticket, error: UpstreamError): AttemptResult => {
  deps.observer.attempt(error.kind);
  ticket.failed(error.kind);
  const { modelId, endpoint } = candidate;
  deps.logger.warn(
    { modelId, endpoint, kind: error.kind, why: error.message },
    'a provider cannot be reached; correct its registered endpoint',
  );
  if (error.kind === 'refused_address') return next(refuse('upstream_failed', "the provider's endpoint is not allowed"));
  return next(refuse('upstream_failed', 'the provider cannot be reached'), error.kind === 'connect');
};

const payProvider = async (
  { deps, outgoing }: AttemptContext,
  job: Job,
  candidate: Candidate,
  require: BaseUnits | undefined,
): Promise<OutgoingHold | Refusal> => {
  try {
    const hold = await outgoing.hold(candidate.payout, candidate.modelId, mostPrice(candidate.prices, job.bound), require);
    if (!isRefusal(hold)) return hold;
    deps.observer.attempt('payment');
    deps.logger.warn({ modelId: candidate.modelId, reason: hold.reason, refusal: hold.message }, 'the gateway cannot pay a provider');
    // Our own want of money is not the client's: never his 402.
    return refuse('no_provider', 'the gateway cannot pay the provider at the moment');
  } catch (err) {
    deps.observer.attempt('payment');
    deps.logger.warn({ err, modelId: candidate.modelId }, 'the payment service did not answer');
    return refuse('ledger_unavailable', 'the payment service did not answer');
  }
};

const once = async (context: AttemptContext, job: Job, candidate: Candidate, hold: OutgoingHold, ticket: Ticket): Promise<Once> => {
  const { deps } = context;
  const salt = deps.random.bytes32();
  const ids: AttemptIds = { requestId: deps.random.bytes32(), salt, inputHash: job.inputHash(salt) };
  const startedMs = deps.clock.nowMs();
  const arrival = await send(context, job, candidate, hold, ids, startedMs);
  const about = { context, job, candidate, hold, ids, ticket, startedMs };
  switch (arrival.kind) {
    case 'whole':
      return arrival.answer.status === 200 ? whole(about, arrival.answer) : refused(about, arrival.answer);
    case 'streamed':
      return streamed(about, arrival.relayed, arrival.envelope);
    case 'failed':
      return failed(about, arrival.error, arrival.relayed);
  }
};

const send = (
  { deps, options }: AttemptContext,
  job: Job,
  candidate: Candidate,
  hold: OutgoingHold,
  ids: AttemptIds,
  startedMs: number,
): Promise<Arrival> =>
  new Promise((resolve) => {
    let relay: Relay | undefined;
    const call = deps.upstream.send(requestTo(deps, job, candidate, hold, ids, options), {
      head(head, own) {
        const isStream = (head.headers['content-type'] ?? '').startsWith('text/event-stream');
        if (head.status !== 200 || !job.stream || !isStream) {
          return gather(head, options.answerBytes, own, {
            answer: (answer) => resolve({ kind: 'whole', answer }),
            failed: (error) => resolve({ kind: 'failed', error, relayed: undefined }),
          });
        }
        relay = new Relay({
          reply: job.reply,
          call: own,
          limit: options.answerBytes,
          first: () => {
            deps.observer.firstByte(job.kind, deps.clock.nowMs() - startedMs);
            job.reply.head(200, {
              'content-type': 'text/event-stream; charset=utf-8',
              'cache-control': 'no-cache',
              ...answerHeaders(ids, candidate),
            });
          },
          ended: (end) =>
            resolve(
              'error' in end
                ? { kind: 'failed', error: end.error, relayed: end.relayed }
                : { kind: 'streamed', relayed: end.relayed, envelope: decodeEnvelope(end.trailers['x-cupel-receipt']) },
            ),
        });
        return relay;
      },
      failed: (error) => resolve({ kind: 'failed', error, relayed: undefined }),
    });
    const leave = (): void => (relay ? relay.clientLeft() : call.abort());
    if (job.reply.left.aborted) leave();
    else job.reply.left.addEventListener('abort', leave, { once: true });
  });
