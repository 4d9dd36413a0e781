import { z } from 'zod';

import { REASONS } from '../reasons.ts';
import type { Reason } from '../reasons.ts';
import { answerParams, channelDescriptor, receiptEnvelope } from './receipt.ts';
import { mode, prices } from './projections.ts';
import {
  address,
  bytes32,
  decimal,
  hexBytes,
  httpUrl,
  microAmount,
  baseAmount,
  publicName,
  sha256,
  signature,
  version1,
} from './scalars.ts';

/** Messages inside one party. Requests and replies run over core NATS; the ledger is never on the bus. docs/specs/bus.md lists the subjects. */

const reasonCode = z.enum(Object.keys(REASONS) as [Reason, ...Reason[]]);

export const refusalMessage = z.object({
  reason: reasonCode,
  message: z.string(),
  param: z.string().optional(),
  required: decimal.optional(),
  missing: decimal.optional(),
});

/** Every reply is either the value asked for or a refusal. */
export const replyOf = <T extends z.ZodType>(value: T) =>
  z.discriminatedUnion('ok', [
    z.object({ version: version1, ok: z.literal(true), value }),
    z.object({ version: version1, ok: z.literal(false), refusal: refusalMessage }),
  ]);

/** payment.authenticate: who is behind an API key. Only its sha256 travels. */
export const authenticateRequest = z.object({ version: version1, apiKeySha256: sha256 });
export const authenticateValue = z.object({ consumerId: z.string(), channelId: bytes32.optional() });

/** payment.lease: a slice of a channel for one router instance, written before it is granted. */
export const leaseRequest = z.object({
  version: version1,
  routerId: z.string().max(100),
  channelId: bytes32,
  /** Least that is of use, and what is wished for. */
  minimum: microAmount,
  wanted: microAmount,
  /** A lease of this router whose time is prolonged instead, its amount as it is; refused (`invalid_field`, param `renew`) once it has ended. */
  renew: z.string().max(100).optional(),
});
export const leaseValue = z.object({
  leaseId: z.string(),
  channelId: bytes32,
  amount: microAmount,
  /** Unix milliseconds; charges after it are refused once the rest was given back. */
  expiresAtMs: z.number(),
});

/** payment.release: gives the unused rest of a lease back. */
export const releaseRequest = z.object({ version: version1, leaseId: z.string(), routerId: z.string().max(100) });
export const releaseValue = z.object({ released: microAmount });

/** payment.voucher: durable (fsync) before the reply. */
export const voucherRequest = z.object({
  version: version1,
  channelId: bytes32,
  descriptor: channelDescriptor.optional(),
  maxClaimableAmount: baseAmount,
  signature,
});
export const voucherValue = z.object({ channelId: bytes32, ceiling: baseAmount });

/** Salted input and output of one answer, kept encrypted until the evidence window closes. */
export const payload = z.object({ salt: bytes32, input: hexBytes, output: hexBytes });

/**
 * payment.charge: closes one request at its true price, idempotent by requestId. At a gateway it carries the provider's receipt; at an
 * edge it asks for one (payment assigns `cumulative` and signs).
 */
export const chargeRequest = z.object({
  version: version1,
  leaseId: z.string(),
  requestId: bytes32,
  price: microAmount,
  publicName,
  modelId: bytes32,
  payload: payload.optional(),
  /** Gateway: the receipt that was checked against the delivered bytes. */
  envelope: receiptEnvelope.optional(),
  /** Edge: all of the receipt but price, cumulative, beneficiary, issuedAt. */
  draft: z
    .object({
      versionId: bytes32,
      channelId: bytes32,
      inputHash: bytes32,
      outputHash: bytes32,
      params: answerParams,
      inputUnits: decimal,
      outputUnits: decimal,
      outcome: decimal,
    })
    .optional(),
});
export const chargeValue = z.object({
  requestId: bytes32,
  /** Micro charged in total on the channel after this one. */
  cumulative: microAmount,
  /** Edge: the signed receipt. */
  envelope: receiptEnvelope.optional(),
});

/** payment.outgoing (gateway): how to pay one provider: channel, session and a voucher that covers `need`. */
export const outgoingRequest = z.object({ version: version1, payee: address, modelId: bytes32, need: microAmount });
export const outgoingValue = z.object({
  channelId: bytes32,
  descriptor: channelDescriptor,
  session: z.object({ key: bytes32, keyHash: bytes32, maxUnpaid: decimal, notAfter: decimal, signature }),
  voucher: z.object({ maxClaimableAmount: baseAmount, signature }),
  /** Micro receipted so far on this channel. */
  receipted: microAmount,
});

/** payment.session (edge): may this channel be served? */
export const sessionRequest = z.object({
  version: version1,
  descriptor: channelDescriptor,
  session: z.object({ channelId: bytes32, keyHash: bytes32, maxUnpaid: decimal, notAfter: decimal }),
  signature,
});
export const sessionValue = z.object({ channelId: bytes32, notAfter: decimal, maxUnpaid: decimal });

/** payment.receipt: one stored receipt by request id. */
export const receiptRequest = z.object({
  version: version1,
  requestId: bytes32,
  consumerId: z.string().optional(),
  channelId: bytes32.optional(),
});
export const receiptValue = z.object({ envelope: receiptEnvelope, charged: z.boolean() });

/** payment.consent (gateway): signs a Consent so that the party's verifier may challenge. */
export const consentRequest = z.object({ version: version1, receiptDigest: bytes32, requestId: bytes32, challenger: address });
export const consentValue = z.object({ notAfter: decimal, signature, descriptor: channelDescriptor });

/** payment.payload: what the verifier replays. */
export const payloadRequest = z.object({ version: version1, requestId: bytes32 });
export const payloadValue = z.object({ payload, envelope: receiptEnvelope, descriptor: channelDescriptor, publicName });

/** RECEIPTS stream, from payment's outbox; at least once, de-duplicated by requestId. */
export const receiptEvent = z.object({
  version: version1,
  envelope: receiptEnvelope,
  receiptDigest: bytes32,
  modelId: bytes32,
  publicName,
  descriptor: channelDescriptor,
  heldAtMs: z.number(),
});

/** Bucket `engines`, key <namespace>.<edge>: what the operator tells an edge about its engines. */
export const engine = z.object({
  modelId: bytes32,
  versionId: bytes32,
  publicName,
  kind: z.enum(['chat', 'integer']),
  url: httpUrl,
  mode,
  prices,
  manifestSha256: sha256,
  verificationRoot: bytes32,
  quantization: z.string().max(40).optional(),
  /** Integer: bytes of an output, as the operator's verify saw it; an answer of another length is not signed. */
  outputLength: z.number().int().min(1).max(65_536).optional(),
  /** A draining engine finishes what it has and gets nothing new. */
  draining: z.boolean(),
});
export const engineList = z.object({ version: version1, engines: z.array(engine).max(200) });

/** probe: the operator asks the edge to ask an engine, since nobody else may open its Service. */
export const probeRequest = z.object({
  version: version1,
  url: httpUrl,
  publicName,
  kind: z.enum(['chat', 'integer']),
  /** Integer: input bytes. */
  input: hexBytes.optional(),
});
export const probeValue = z.object({
  /** Integer: output bytes. */
  output: hexBytes.optional(),
  /** Chat: the text and its usage. */
  text: z.string().optional(),
  promptTokens: z.number().int().optional(),
  completionTokens: z.number().int().optional(),
  latencyMs: z.number(),
});

/** claims.post: an edge asks its operator to post a root; the operator's key pays and its lane orders. */
export const claimPostRequest = z.object({
  version: version1,
  versionId: bytes32,
  root: bytes32,
  count: z.number().int().min(1).max(1_000_000),
  maxPrice: microAmount,
});
export const claimPostValue = z.object({ claimId: bytes32, tx: bytes32 });

export type RefusalMessage = z.output<typeof refusalMessage>;
export type LeaseRequest = z.output<typeof leaseRequest>;
export type LeaseValue = z.output<typeof leaseValue>;
export type ReleaseRequest = z.output<typeof releaseRequest>;
export type VoucherRequest = z.output<typeof voucherRequest>;
export type ChargeRequest = z.output<typeof chargeRequest>;
export type ChargeValue = z.output<typeof chargeValue>;
export type OutgoingRequest = z.output<typeof outgoingRequest>;
export type OutgoingValue = z.output<typeof outgoingValue>;
export type SessionRequest = z.output<typeof sessionRequest>;
export type ConsentRequest = z.output<typeof consentRequest>;
export type PayloadRequest = z.output<typeof payloadRequest>;
export type PayloadValue = z.output<typeof payloadValue>;
export type ReceiptEvent = z.output<typeof receiptEvent>;
export type Engine = z.output<typeof engine>;
export type EngineList = z.output<typeof engineList>;
export type ProbeRequest = z.output<typeof probeRequest>;
export type ProbeValue = z.output<typeof probeValue>;
export type ClaimPostRequest = z.output<typeof claimPostRequest>;
export type ClaimPostValue = z.output<typeof claimPostValue>;
export type Payload = z.output<typeof payload>;
