import type { Bus } from '@cupel/bus/bus';
import type { Refusal } from '@cupel/protocol/reasons';
import {
  authenticateRequest,
  chargeRequest,
  claimPostValue,
  consentRequest,
  leaseRequest,
  outgoingRequest,
  payloadRequest,
  receiptRequest,
  releaseRequest,
  sessionRequest,
  voucherRequest,
} from '@cupel/protocol/wire/bus';
import { channelState, claimState, disputeState, headState, registryEntry } from '@cupel/protocol/wire/projections';
import { claimsPostSubject, kvKey, paymentSubject, receiptsStream, receiptsSubject } from '@cupel/protocol/wire/subjects';
import type { PaymentCall, Scope } from '@cupel/protocol/wire/subjects';
import type { z } from 'zod';

import type { IncomingCalls } from '../calls/incoming.ts';
import type { EdgeCalls } from '../calls/edge.ts';
import type { GatewayCalls } from '../calls/gateway.ts';
import type { Facts } from '../facts.ts';
import type { ClaimPoster } from '../loops/claims.ts';
import type { ReceiptStream } from '../loops/outbox.ts';
import type { Providers } from '../loops/providers.ts';

type Served = IncomingCalls & { readonly gateway?: GatewayCalls & Providers; readonly edge?: EdgeCalls };

/** Answers the party's payment calls. Values get `version: 1` on the way out where the schema of the caller asks for it: the bus adds it. */
export const servePayment = async (bus: Bus, scope: Scope, calls: Served, stack: AsyncDisposableStack): Promise<void> => {
  const serve = async <S extends z.ZodType>(
    call: PaymentCall,
    schema: S,
    handler: (request: z.output<S>) => Promise<object | Refusal> | object | Refusal,
  ): Promise<void> => {
    stack.use(await bus.serve(paymentSubject(scope, call), schema, handler, { queue: 'payment' }));
  };
  await serve('lease', leaseRequest, calls.lease);
  await serve('release', releaseRequest, calls.release);
  await serve('voucher', voucherRequest, (request) => calls.voucher(request, null));
  await serve('receipt', receiptRequest, calls.receipt);
  await serve('payload', payloadRequest, ({ requestId }) => calls.payload(requestId));
  const { gateway, edge } = calls;
  if (gateway) {
    await serve('authenticate', authenticateRequest, ({ apiKeySha256 }) => gateway.authenticate(apiKeySha256));
    await serve('charge', chargeRequest, gateway.charge);
    await serve('outgoing', outgoingRequest, gateway.pay);
    await serve('consent', consentRequest, gateway.consent);
  }
  if (edge) {
    await serve('session', sessionRequest, edge.session);
    await serve('charge', chargeRequest, edge.charge);
  }
};

/**
 * Feeds the facts from the watcher's buckets. Heads first: finality is judged by them. Resolves when all that answers are judged by has been
 * read once: never, while there are no buckets.
 */
export const watchFacts = (bus: Bus, facts: Facts, stack: AsyncDisposableStack): Promise<unknown> => {
  const watches = [
    stack.use(bus.kv('head', headState).watch(facts.headChanged)),
    stack.use(bus.kv('registry', registryEntry).watch(facts.registryChanged)),
    stack.use(bus.kv('channels', channelState).watch(facts.channelChanged)),
  ];
  stack.use(bus.kv('disputes', disputeState).watch(facts.disputeChanged));
  return Promise.all(watches.map((watch) => watch.ready));
};

/** 256 MiB of receipts are some 150,000. */
const STREAM_BYTES = 256 * 1024 * 1024;

export const receiptStream = (bus: Bus, scope: Scope, keepMs: number): ReceiptStream => ({
  ensure: () =>
    bus.ensureStream({ name: receiptsStream(scope), subjects: [receiptsSubject(scope)], maxAgeMs: keepMs, maxBytes: STREAM_BYTES }),
  publish: (event) => bus.publish(receiptsSubject(scope), event, { msgId: event.envelope.receipt.requestId }),
});

/** The operator waits for a block before it answers. */
const POST_TIMEOUT_MS = 90_000;

export const claimPoster = (bus: Bus, scope: Scope, stack: AsyncDisposableStack): ClaimPoster => {
  const posted = new Map<string, `0x${string}`>();
  stack.use(
    bus.kv('claims', claimState).watch((key, state) => {
      if (state) posted.set(key, state.postedTx);
      else posted.delete(key);
    }),
  );
  return {
    isPosted: (claimId) => posted.get(kvKey(claimId)),
    async post({ versionId, root, count, maxPrice }) {
      const request = { version: 1, versionId, root, count, maxPrice };
      const answer = await bus.call(claimsPostSubject(scope), request, claimPostValue, { timeoutMs: POST_TIMEOUT_MS });
      return answer.ok ? { tx: answer.value.tx } : answer.refusal;
    },
  };
};
