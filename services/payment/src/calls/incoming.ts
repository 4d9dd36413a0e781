import type { Keccak256 } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import { channelIdOf } from '@cupel/protocol/ids';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import type { BaseUnits, Micro } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import type { LeaseRequest, LeaseValue, Payload, ReleaseRequest, VoucherRequest } from '@cupel/protocol/wire/bus';
import type { ReceiptEnvelope } from '@cupel/protocol/wire/receipt';

import type { Facts } from '../facts.ts';
import { acceptVoucher, notOpen, registerChannel, unknownChannel } from '../ledger/channel.ts';
import type { Charged } from '../ledger/charge.ts';
import { expireLeases, grantLease, releaseLease, renewLease } from '../ledger/lease.ts';
import type { LedgerStore } from '../ledger/records.ts';
import type { ChannelRow, PayloadRow, Result } from '../ledger/rows.ts';
import type { Exposure } from '../quote/allowance.ts';
import { checkDescriptor } from '../voucher/verify.ts';
import type { ChannelTerms, VoucherChecks } from '../voucher/verify.ts';

/** Encrypts what must not lie open on the disk; the name is bound to it. */
export interface Cipher {
  seal(name: Hex, payload: Payload): Uint8Array;
  /** Throws when key or name is another one, or a byte was changed. */
  open(name: Hex, sealed: Uint8Array): Payload;
  sealKey(name: Hex, key: Hex): Uint8Array;
  openKey(name: Hex, sealed: Uint8Array): Hex;
}

/** Counts for people; all monotone. */
export interface PaymentMeter {
  voucher(outcome: string): void;
  charge(outcome: string, charged: Micro, shortfall: Micro): void;
  refusal(call: string, reason: string): void;
}

export interface CallDeps {
  readonly ledger: LedgerStore;
  readonly facts: Facts;
  readonly checks: VoucherChecks;
  readonly terms: ChannelTerms;
  readonly keccak: Keccak256;
  readonly cipher: Cipher;
  readonly meter: PaymentMeter;
  readonly exposureLimit: BaseUnits;
  readonly payloadTtlMs: number;
  readonly nowMs: () => number;
  readonly newId: () => string;
  /** After a charge is durable. */
  readonly onCharged: () => void;
}

/** How long a router keeps a lease that it neither releases nor renews: an expired one covers nothing. */
const LEASE_MS = 300_000;

export interface IncomingCalls {
  lease(request: LeaseRequest): Promise<LeaseValue | Refusal>;
  release(request: ReleaseRequest): Promise<{ readonly released: Micro }>;
  voucher(request: VoucherRequest, consumerId: string | null): Promise<{ readonly channelId: Hex; readonly ceiling: BaseUnits } | Refusal>;
  /** Enters a channel that a known consumer, or the admin, names; perhaps before the chain shows it. */
  register(descriptor: ChannelDescriptor, consumerId: string | null): Promise<ChannelRow | Refusal>;
  /** undefined: the ledger has the channel, or may take it from a stranger: it fits the terms, and its deposit is final on chain. */
  checkStranger(channelId: Hex, descriptor: ChannelDescriptor): Refusal | undefined;
  receipt(request: {
    readonly requestId: Hex;
    readonly consumerId?: string | undefined;
    readonly channelId?: Hex | undefined;
  }): { readonly envelope: ReceiptEnvelope; readonly charged: boolean } | Refusal;
  payload(requestId: Hex): PayloadAnswer | Refusal;
  expire(): Promise<number>;
  exposure(): Exposure;
  sealPayload(requestId: Hex, payload: Payload | undefined): PayloadRow | null;
  /** Counts, wakes, and turns a decided charge into its answer. */
  answerCharge(
    result: Result<Charged>,
  ): { readonly requestId: Hex; readonly cumulative: Micro; readonly envelope: ReceiptEnvelope } | Refusal;
}

interface PayloadAnswer {
  readonly payload: Payload;
  readonly envelope: ReceiptEnvelope;
  readonly descriptor: ChannelDescriptor;
  readonly publicName: string;
}

export const incomingCalls = (deps: CallDeps): IncomingCalls => {
  const { ledger, facts, meter, nowMs } = deps;
  const exposure = (): Exposure => ({ stale: facts.isStale(), limit: deps.exposureLimit });

  /** A stranger's word costs it nothing, a deposit does: nothing is written, and no signature recovered, for a channel that is not on chain. */
  const checkStranger = (channelId: Hex, descriptor: ChannelDescriptor): Refusal | undefined =>
    ledger.view.channel(channelId)
      ? undefined
      : (checkDescriptor(descriptor, deps.terms) ?? notOpen({ channelId, ...facts.channel(channelId) }));

  const register = async (descriptor: ChannelDescriptor, consumerId: string | null): Promise<ChannelRow | Refusal> => {
    const unfit = checkDescriptor(descriptor, deps.terms);
    if (unfit) return unfit;
    const channelId = channelIdOf(deps.keccak, descriptor);
    const known = ledger.view.channel(channelId);
    if (known) return known;
    const result = await ledger.submit((view) =>
      registerChannel(view, { channelId, descriptor, consumerId, facts: facts.channel(channelId), nowMs: nowMs() }),
    );
    return result.ok ? result.value : result.refusal;
  };

  return {
    exposure,
    register,
    checkStranger,
    async lease({ channelId, routerId, minimum, wanted, renew }) {
      if (renew !== undefined) return prolong(renew, channelId, routerId);
      const command = {
        leaseId: deps.newId(),
        channelId,
        routerId,
        minimum,
        wanted,
        expiresAtMs: nowMs() + LEASE_MS,
        exposure: exposure(),
      };
      const result = await ledger.submit((view) => grantLease(view, command));
      if (result.ok) return { leaseId: command.leaseId, channelId, amount: result.value.amount, expiresAtMs: command.expiresAtMs };
      meter.refusal('lease', result.refusal.reason);
      return result.refusal;
    },
    async release({ leaseId, routerId }) {
      const result = await ledger.submit((view) => releaseLease(view, { leaseId, routerId }));
      if (!result.ok) throw new Error('a release is never refused');
      return { released: result.value };
    },
    async voucher(request, consumerId) {
      const outcome = await raise(request, consumerId);
      meter.voucher('reason' in outcome ? outcome.reason : 'accepted');
      return outcome;
    },
    receipt({ requestId, consumerId, channelId }) {
      const row = ledger.view.charge(requestId);
      const foreign =
        (consumerId !== undefined && row?.consumerId !== consumerId) || (channelId !== undefined && row?.channelId !== channelId);
      if (!row || foreign) return refuse('not_found', `there is no receipt of the request ${requestId}`, { param: 'requestId' });
      return { envelope: row.envelope, charged: true };
    },
    payload(requestId) {
      const row = ledger.view.charge(requestId);
      const sealed = ledger.records.payload(requestId, nowMs());
      const descriptor =
        row && (row.outgoingId === null ? ledger.view.channel(row.channelId) : ledger.view.outgoing(row.outgoingId))?.descriptor;
      if (!row || !sealed || !descriptor) {
        return refuse('not_found', `there is no payload of the request ${requestId}, or its time is over`, { param: 'requestId' });
      }
      return { payload: deps.cipher.open(requestId, sealed), envelope: row.envelope, descriptor, publicName: row.publicName };
    },
    async expire() {
      if ([...ledger.view.openLeases()].every((l) => l.expiresAtMs > nowMs())) return 0;
      const result = await ledger.submit((view) => expireLeases(view, { nowMs: nowMs() }));
      return result.ok ? result.value : 0;
    },
    sealPayload: (requestId, payload) =>
      payload ? { requestId, sealed: deps.cipher.seal(requestId, payload), expiresAtMs: nowMs() + deps.payloadTtlMs } : null,
    answerCharge(result) {
      if (!result.ok) {
        meter.refusal('charge', result.refusal.reason);
        return result.refusal;
      }
      const { row, shortfall, repeated } = result.value;
      if (repeated) meter.charge('repeated', 0n as Micro, 0n as Micro);
      else {
        meter.charge('charged', row.charged, shortfall);
        deps.onCharged();
      }
      return { requestId: row.requestId, cumulative: row.cumulative, envelope: row.envelope };
    },
  };

  async function prolong(leaseId: string, channelId: Hex, routerId: string): Promise<LeaseValue | Refusal> {
    const command = { leaseId, channelId, routerId, expiresAtMs: nowMs() + LEASE_MS };
    const result = await ledger.submit((view) => renewLease(view, command));
    if (result.ok) return { leaseId, channelId, amount: result.value.amount, expiresAtMs: result.value.expiresAtMs };
    meter.refusal('lease', result.refusal.reason);
    return result.refusal;
  }

  async function raise(request: VoucherRequest, consumerId: string | null): Promise<{ channelId: Hex; ceiling: BaseUnits } | Refusal> {
    const { channelId, maxClaimableAmount, signature } = request;
    if (request.descriptor && channelIdOf(deps.keccak, request.descriptor) !== channelId) {
      return refuse('invalid_field', 'the descriptor does not hash to the channel id', { param: 'channelId' });
    }
    const descriptor = ledger.view.channel(channelId)?.descriptor ?? request.descriptor;
    if (!descriptor) return unknownChannel(channelId);
    const stranger = checkStranger(channelId, descriptor);
    if (stranger) return stranger;
    const bad = deps.checks.checkVoucher(descriptor, { channelId, maxClaimableAmount }, signature);
    if (bad) return bad;
    const registered = await register(descriptor, consumerId);
    if ('reason' in registered) return registered;
    const result = await ledger.submit((view) =>
      acceptVoucher(view, { channelId, maxClaimable: maxClaimableAmount, signature, consumerId }),
    );
    return result.ok ? { channelId, ceiling: result.value.ceiling } : result.refusal;
  }
};
