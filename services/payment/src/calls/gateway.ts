import { bytesToHex } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import type { BaseUnits } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import { unixSeconds } from '@cupel/protocol/time';
import type { ChargeRequest, ChargeValue, ConsentRequest } from '@cupel/protocol/wire/bus';

import { creditReceipt } from '../ledger/channel.ts';
import type { Credited } from '../ledger/channel.ts';
import { chargeRequest } from '../ledger/charge.ts';
import type { ChannelRow } from '../ledger/rows.ts';
import { unreserved } from '../quote/allowance.ts';
import type { ReceiptChecks } from '../voucher/receipt.ts';
import type { CallDeps, IncomingCalls } from './incoming.ts';

export interface GatewayDeps extends CallDeps {
  readonly common: IncomingCalls;
  readonly receipts: ReceiptChecks;
  /** Owns the channels to providers, is the beneficiary of their receipts, and consents to challenges. */
  readonly payer: { readonly address: Hex; sign(digest: Uint8Array): Hex };
  /** After a provider's bill is durable. */
  readonly onBill: (outgoingId: Hex) => void;
}

export interface GatewayCalls {
  authenticate(apiKeySha256: string): { readonly consumerId: string; readonly channelId?: Hex } | Refusal;
  charge(request: ChargeRequest): Promise<ChargeValue | Refusal>;
  consent(
    request: ConsentRequest,
  ): { readonly notAfter: bigint; readonly signature: Hex; readonly descriptor: ChannelDescriptor } | Refusal;
  /** Gives the consumer back what an upheld receipt was charged, up to the bond's refund; all 0 when that was done before. */
  credit(receiptDigest: Hex, refund: BaseUnits): Promise<Credited>;
}

/** A consent outlives any game about a receipt of today, no more. */
const CONSENT_SECONDS = 86_400n;

export const gatewayCalls = (deps: GatewayDeps): GatewayCalls => {
  const { ledger, facts, common, receipts, payer, nowMs } = deps;
  return {
    authenticate(apiKeySha256) {
      const consumer = ledger.records.consumerOf(apiKeySha256);
      if (!consumer) return refuse('invalid_api_key', 'the API key is not known here');
      const channel = bestOf(ledger.channelsOf(consumer.consumerId));
      return { consumerId: consumer.consumerId, ...(channel && { channelId: channel.channelId }) };
    },

    async charge(request) {
      const { envelope, requestId, modelId, publicName, leaseId, price } = request;
      if (!envelope) return refuse('invalid_field', "a charge at a gateway needs the provider's receipt", { param: 'envelope' });
      const owner = facts.ownerOf(modelId);
      if (!owner) return refuse('version_unknown', `the registry does not show the model ${modelId}`, { param: 'modelId' });
      const digest = receipts.receiptDigest(envelope.receipt);
      const unfit = receipts.checkBill(envelope, digest, { requestId, price, beneficiary: payer.address, owner });
      if (unfit) {
        deps.meter.refusal('charge', unfit.reason);
        return unfit;
      }
      const receiptDigest = bytesToHex(digest);
      const command = {
        kind: 'bill',
        requestId,
        leaseId,
        price,
        modelId,
        publicName,
        fingerprint: receiptDigest,
        payload: common.sealPayload(requestId, request.payload),
        exposure: common.exposure(),
        nowMs: nowMs(),
        envelope,
        receiptDigest,
      } as const;
      const answer = common.answerCharge(await ledger.submit((view) => chargeRequest(view, command)));
      if (!('reason' in answer)) deps.onBill(envelope.receipt.channelId);
      return 'reason' in answer ? answer : { requestId: answer.requestId, cumulative: answer.cumulative };
    },

    consent({ receiptDigest, requestId, challenger }) {
      const row = ledger.view.charge(requestId);
      const descriptor = row?.outgoingId ? ledger.view.outgoing(row.outgoingId)?.descriptor : undefined;
      if (!row || !descriptor || row.receiptDigest !== receiptDigest) {
        return refuse('not_found', `there is no receipt ${receiptDigest} of the request ${requestId}`, { param: 'receiptDigest' });
      }
      const notAfter = unixSeconds(nowMs()) + CONSENT_SECONDS;
      const digest = receipts.consentDigest({ receipt: receiptDigest, challenger, notAfter });
      return { notAfter, signature: payer.sign(digest), descriptor };
    },

    async credit(receiptDigest, refund) {
      const result = await ledger.submit((view) => creditReceipt(view, { receiptDigest, refund, nowMs: nowMs() }));
      if (!result.ok) throw new Error(`a credit was refused: ${result.refusal.message}`);
      return result.value;
    },
  };
};

/** The open channel with most left; else the one registered last, so that the refusal speaks of it. */
const bestOf = (channels: Iterable<ChannelRow>): ChannelRow | undefined => {
  let best: ChannelRow | undefined;
  for (const channel of channels) if (!best || isBetter(channel, best)) best = channel;
  return best;
};

const isBetter = (a: ChannelRow, b: ChannelRow): boolean => {
  if ((a.status === 'open') !== (b.status === 'open')) return a.status === 'open';
  if (unreserved(a) !== unreserved(b)) return unreserved(a) > unreserved(b);
  return a.registeredAtMs > b.registeredAtMs;
};
