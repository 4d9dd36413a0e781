import type { Hex } from '@cupel/protocol/hex';
import type { ReceiptEnvelope } from '@cupel/protocol/wire/receipt';
import { OUTCOME } from '@cupel/protocol/wire/receipt';

import { signedHeaders, ZERO_HASH } from '../admit/session-mac.ts';
import { encodeVoucher } from '../admit/voucher-header.ts';
import type { Candidate } from '../choose/candidates.ts';
import { checkReceipt } from '../meter/receipt-check.ts';
import type { ReceiptVerdict } from '../meter/receipt-check.ts';
import { decodeEnvelope } from '../meter/receipt-header.ts';
import { fetchWhole } from '../stream/exchange.ts';
import type { UpstreamRequest } from '../stream/exchange.ts';
import type { GatewayDeps } from './deps.ts';
import { addressOf } from '../stream/address.ts';
import type { Job } from './job.ts';
import type { OutgoingHold } from './outgoing.ts';

/** One attempt's identity: fresh for each, since the requestId is the receipt's id. */
export interface AttemptIds {
  readonly requestId: Hex;
  readonly salt: Hex;
  readonly inputHash: Hex;
}

/** An edge waits for the end of a request before it answers what was charged. */
const PATIENT = { timeoutMs: 15_000, pausesMs: [200, 800] };
/** Nothing was delivered, so nothing will be charged whatever the answer is; the client waits for another provider. */
const BRIEF = { timeoutMs: 2_000, pausesMs: [] };
const MOST_BYTES = 16_384;

/** Chunks that an edge may have sent, before it heard that we left, after the last one that came through: what buffers on the way can hold. */
const IN_FLIGHT_CHUNKS = 1024n;

export const requestTo = (
  deps: Pick<GatewayDeps, 'hmac' | 'clock'>,
  job: Job,
  candidate: Candidate,
  hold: OutgoingHold,
  ids: AttemptIds,
  timeouts: { readonly headersTimeoutMs: number; readonly idleTimeoutMs: number },
): UpstreamRequest => {
  const { origin, base } = addressOf(candidate.endpoint);
  return {
    origin,
    path: base + job.path,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: job.stream ? 'text/event-stream' : 'application/json',
      ...macHeaders(deps, candidate, hold, ids, ids.inputHash),
      'x-cupel-voucher': encodeVoucher(hold.value.voucher),
    },
    body: job.body,
    ...timeouts,
  };
};

const macHeaders = (
  deps: Pick<GatewayDeps, 'hmac' | 'clock'>,
  candidate: Candidate,
  hold: OutgoingHold,
  ids: AttemptIds,
  inputHash: Hex,
): Record<string, string> =>
  signedHeaders(
    deps.hmac,
    hold.value.session.key,
    {
      requestId: ids.requestId,
      channelId: hold.value.channelId,
      versionId: candidate.versionId,
      salt: ids.salt,
      timestamp: BigInt(Math.floor(deps.clock.nowMs() / 1000)),
    },
    inputHash,
  );

/** What the edge charged for a request whose answer did not come whole. `unknown`: it cannot be asked. */
export type LookUp =
  | { readonly kind: 'none' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'charged'; readonly envelope: ReceiptEnvelope };

export const lookUp = async (
  deps: Pick<GatewayDeps, 'hmac' | 'clock' | 'upstream' | 'sleep'>,
  candidate: Candidate,
  hold: OutgoingHold,
  ids: AttemptIds,
  began: boolean,
): Promise<LookUp> => {
  const { timeoutMs, pausesMs } = began ? PATIENT : BRIEF;
  const { origin, base } = addressOf(candidate.endpoint);
  for (let tries = 0; ; tries++) {
    const answer = await fetchWhole(
      deps.upstream,
      {
        origin,
        path: `${base}/cupel/v1/receipts/${ids.requestId}`,
        method: 'GET',
        headers: macHeaders(deps, candidate, hold, ids, ZERO_HASH),
        headersTimeoutMs: timeoutMs,
        idleTimeoutMs: timeoutMs,
      },
      MOST_BYTES,
    ).catch(() => undefined);
    if (answer?.status === 404) return { kind: 'none' };
    const envelope = answer?.status === 200 ? decodeEnvelope(answer.headers['x-cupel-receipt']) : undefined;
    if (envelope) return { kind: 'charged', envelope };
    const pause = pausesMs[tries];
    if (pause === undefined) return { kind: 'unknown' };
    await deps.sleep(pause);
  }
};

/**
 * What came through of an answer. `cut`: it did not come whole. Only `we` left: the edge may have sent more than came through, and its hash
 * covers that; `elsewhere`: nobody can say who cut it, so nothing beyond what came through is owed.
 */
export interface Delivered {
  readonly hash: Hex;
  readonly cut?: { readonly by: 'us' | 'elsewhere'; readonly contentChunks: number };
}

/** Checks a receipt against this attempt. */
export const verdictOn = (
  deps: Pick<GatewayDeps, 'receiptCheck' | 'market' | 'clock'>,
  envelope: ReceiptEnvelope,
  about: {
    readonly job: Job;
    readonly candidate: Candidate;
    readonly hold: OutgoingHold;
    readonly ids: AttemptIds;
    readonly delivered: Delivered;
  },
): ReceiptVerdict => {
  const { job, candidate, hold, ids, delivered } = about;
  // An edge that says its engine failed, or that the answer was whole, has sent all that it hashed.
  const cut = envelope.receipt.outcome === OUTCOME.clientLeft ? delivered.cut : undefined;
  if (cut && envelope.receipt.outputUnits > BigInt(cut.contentChunks) + (cut.by === 'us' ? IN_FLIGHT_CHUNKS : 0n)) {
    return { fits: false, why: 'outputUnits exceed what was delivered' };
  }
  return checkReceipt(deps.receiptCheck, envelope, {
    requestId: ids.requestId,
    versionId: candidate.versionId,
    channelId: hold.value.channelId,
    beneficiary: hold.value.descriptor.payer,
    owner: candidate.owner,
    inputHash: ids.inputHash,
    outputHash: cut ? undefined : delivered.hash,
    prices: candidate.prices,
    bound: job.bound,
    maxClaimable: hold.value.voucher.maxClaimableAmount,
    params: job.params,
    seedRequired: job.kind === 'chat',
    nowSeconds: chainSeconds(deps),
  });
};

/** The chain's time: the last block's, carried on by our clock while the chain is silent. */
const chainSeconds = (deps: Pick<GatewayDeps, 'market' | 'clock'>): bigint => {
  const nowMs = deps.clock.nowMs();
  const head = deps.market.head();
  if (!head) return BigInt(Math.floor(nowMs / 1000));
  return BigInt(head.timestamp + Math.max(0, Math.floor((nowMs - head.seenAtMs) / 1000)));
};
