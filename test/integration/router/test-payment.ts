import type { Bus } from '@cupel/bus/bus';
import { digester, RECEIPT, SESSION, SIGNER_GRANT, VOUCHER } from '@cupel/protocol/eip712';
import type { Domain } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import { channelIdOf, paramsHashOf } from '@cupel/protocol/ids';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import { baseUnits, ceilToBase, micro, toMicro } from '@cupel/protocol/money';
import type { Micro } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import * as wire from '@cupel/protocol/wire/bus';
import type { ChargeRequest } from '@cupel/protocol/wire/bus';
import type { ReceiptEnvelope, SignedGrant } from '@cupel/protocol/wire/receipt';
import { paymentSubject } from '@cupel/protocol/wire/subjects';
import type { PaymentCall } from '@cupel/protocol/wire/subjects';
import { keccak256 } from '@cupel/signing/keccak';
import { recover, signerFromKey } from '@cupel/signing/secp256k1';
import { createHash, randomBytes } from 'node:crypto';
import type { z } from 'zod';

const CONTRACT: Hex = `0x${'c0'.repeat(20)}`;
export const REGISTRY_DOMAIN: Domain = { name: 'ModelRegistry', chainId: 31337n, verifyingContract: CONTRACT };
export const CHANNELS_DOMAIN: Domain = { name: 'PaymentChannels', chainId: 31337n, verifyingContract: CONTRACT };
const TOKEN: Hex = `0x${'70'.repeat(20)}`;

const voucherDigest = digester(keccak256, VOUCHER, CHANNELS_DOMAIN);
const sessionDigest = digester(keccak256, SESSION, CHANNELS_DOMAIN);
const receiptDigest = digester(keccak256, RECEIPT, REGISTRY_DOMAIN);
const grantDigest = digester(keccak256, SIGNER_GRANT, REGISTRY_DOMAIN);

export const bytes32 = (): Hex => `0x${randomBytes(32).toString('hex')}`;
export const newKey = () => signerFromKey(bytes32());
export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

interface Channel {
  readonly descriptor: ChannelDescriptor;
  ceiling: bigint;
  charged: bigint;
  leased: bigint;
}

interface Lease {
  readonly channelId: Hex;
  amount: bigint;
}

/** A party's payment service in memory, over the real bus by the real schemas: enough of a ledger to catch a router that miscounts. */
export class TestPayment {
  readonly channels = new Map<Hex, Channel>();
  readonly charges = new Map<Hex, { request: ChargeRequest; envelope: ReceiptEnvelope; channelId: Hex }>();
  readonly leases = new Map<string, Lease>();
  readonly consumers = new Map<string, { consumerId: string; channelId?: Hex }>();
  readonly outgoing = new Map<Hex, { channelId: Hex; descriptor: ChannelDescriptor; receipted: bigint; signed: bigint; key: Hex }>();
  readonly calls: string[] = [];
  readonly payer = newKey();
  readonly payee: Hex;
  readonly receiptSigner = newKey();
  /** Edge: by version. */
  readonly grants = new Map<Hex, SignedGrant>();
  /** Base units signed beyond need. */
  headroom = 0n;
  leaseMs = 300_000;
  /** Refuses every lease until a voucher reaches so many base units: what a greedy edge would ask for. */
  demands: bigint | undefined;
  /** Falsifies receipts: the gateway must notice. */
  tamper: ((envelope: ReceiptEnvelope) => ReceiptEnvelope) | undefined;

  constructor(payee: Hex) {
    this.payee = payee;
  }

  openChannel(signer: Hex, ceiling: bigint): Hex {
    const descriptor = { payer: signer, payee: this.payee, token: TOKEN, signerKind: 0, signer, withdrawDelay: 86_400, salt: bytes32() };
    const channelId = channelIdOf(keccak256, descriptor);
    this.channels.set(channelId, { descriptor, ceiling, charged: 0n, leased: 0n });
    return channelId;
  }

  grant(versionId: Hex, owner: ReturnType<typeof newKey>): void {
    const grant = { versionId, signer: this.receiptSigner.address, notAfter: BigInt(Math.floor(Date.now() / 1000) + 86_400) };
    this.grants.set(versionId, { ...grant, signature: owner.sign(grantDigest(grant)) });
  }

  async serve(bus: Bus, scope: string): Promise<void> {
    const serve = <S extends z.ZodType>(call: PaymentCall, schema: S, handler: (request: z.output<S>) => object | Refusal) =>
      bus.serve(paymentSubject(scope, call), schema, (request) => {
        this.calls.push(call);
        return handler(request);
      });
    await serve(
      'authenticate',
      wire.authenticateRequest,
      ({ apiKeySha256 }) => this.consumers.get(apiKeySha256) ?? refuse('invalid_api_key', 'wrong key'),
    );
    await serve('lease', wire.leaseRequest, (r) => this.#lease(r.channelId, r.minimum, r.wanted));
    await serve('release', wire.releaseRequest, ({ leaseId }) => ({ released: micro(this.#release(leaseId)) }));
    await serve('voucher', wire.voucherRequest, (r) => this.#voucher(r.channelId, r.maxClaimableAmount, r.signature));
    await serve('outgoing', wire.outgoingRequest, (r) => this.#outgoing(r.payee, r.need));
    await serve('session', wire.sessionRequest, ({ descriptor, session, signature }) => {
      if (recover(sessionDigest(session), signature) !== descriptor.signer) return refuse('session_unknown', 'not signed by the signer');
      if (!this.channels.has(session.channelId)) this.channels.set(session.channelId, { descriptor, ceiling: 0n, charged: 0n, leased: 0n });
      return { channelId: session.channelId, notAfter: session.notAfter, maxUnpaid: session.maxUnpaid };
    });
    await serve('charge', wire.chargeRequest, (r) => (r.draft ? this.#sign(r) : this.#book(r)));
    await serve('receipt', wire.receiptRequest, ({ requestId, channelId }) => {
      const charge = this.charges.get(requestId);
      if (!charge || (channelId !== undefined && charge.channelId !== channelId)) return refuse('not_found', 'no receipt');
      return { envelope: charge.envelope, charged: true };
    });
  }

  get charged(): bigint {
    return [...this.channels.values()].reduce((sum, c) => sum + c.charged, 0n);
  }

  get leased(): bigint {
    return [...this.channels.values()].reduce((sum, c) => sum + c.leased, 0n);
  }

  #lease(channelId: Hex, minimum: Micro, wanted: Micro): object | Refusal {
    const channel = this.channels.get(channelId);
    if (!channel) return refuse('no_channel', 'unknown channel');
    if (this.demands !== undefined && channel.ceiling < this.demands)
      return refuse('insufficient_voucher', 'more', { required: this.demands, missing: this.demands - channel.ceiling });
    const free = toMicro(baseUnits(channel.ceiling)) - channel.charged - channel.leased;
    if (free < minimum) {
      const required = ceilToBase(micro(channel.charged + channel.leased + minimum));
      return refuse('insufficient_voucher', `${required - channel.ceiling} base units more are needed`, {
        required,
        missing: required - channel.ceiling,
      });
    }
    const amount = free < wanted ? free : wanted;
    const leaseId = bytes32();
    channel.leased += amount;
    this.leases.set(leaseId, { channelId, amount });
    return { leaseId, channelId, amount, expiresAtMs: Date.now() + this.leaseMs };
  }

  #release(leaseId: string): bigint {
    const lease = this.leases.get(leaseId);
    if (!lease) return 0n;
    this.leases.delete(leaseId);
    this.channels.get(lease.channelId)!.leased -= lease.amount;
    return lease.amount;
  }

  #voucher(channelId: Hex, amount: bigint, signature: Hex): object | Refusal {
    const channel = this.channels.get(channelId);
    if (!channel) return refuse('no_channel', 'unknown channel');
    const signer = recover(voucherDigest({ channelId, maxClaimableAmount: amount }), signature);
    if (signer !== channel.descriptor.signer) return refuse('voucher_bad_signature', "not the signer's");
    if (amount <= channel.ceiling) return refuse('voucher_not_higher', `not higher than ${channel.ceiling}`);
    channel.ceiling = amount;
    return { channelId, ceiling: amount };
  }

  #outgoing(payee: Hex, need: Micro): object {
    let to = this.outgoing.get(payee);
    if (!to) {
      const descriptor = {
        payer: this.payer.address,
        payee,
        token: TOKEN,
        signerKind: 0,
        signer: this.payer.address,
        withdrawDelay: 86_400,
        salt: bytes32(),
      };
      to = { channelId: channelIdOf(keccak256, descriptor), descriptor, receipted: 0n, signed: 0n, key: bytes32() };
      this.outgoing.set(payee, to);
    }
    const required = ceilToBase(micro(to.receipted + need));
    if (required > to.signed) to.signed = required + this.headroom;
    const session = {
      channelId: to.channelId,
      keyHash: `0x${Buffer.from(keccak256(Buffer.from(to.key.slice(2), 'hex'))).toString('hex')}` as Hex,
      maxUnpaid: 0n,
      notAfter: BigInt(Math.floor(Date.now() / 1000) + 86_400),
    };
    return {
      channelId: to.channelId,
      descriptor: to.descriptor,
      session: {
        key: to.key,
        keyHash: session.keyHash,
        maxUnpaid: 0n,
        notAfter: session.notAfter,
        signature: this.payer.sign(sessionDigest(session)),
      },
      voucher: {
        maxClaimableAmount: to.signed,
        signature: this.payer.sign(voucherDigest({ channelId: to.channelId, maxClaimableAmount: to.signed })),
      },
      receipted: to.receipted,
    };
  }

  /** Takes the price from lease and channel; each request once. */
  #take(request: ChargeRequest): Channel | Refusal {
    const lease = this.leases.get(request.leaseId);
    if (!lease) return refuse('no_channel', 'the lease is not known');
    if (lease.amount < request.price) return refuse('insufficient_voucher', 'the lease is short');
    const channel = this.channels.get(lease.channelId)!;
    lease.amount -= request.price;
    channel.leased -= request.price;
    channel.charged += request.price;
    return channel;
  }

  #book(request: ChargeRequest): object | Refusal {
    const known = this.charges.get(request.requestId);
    if (known) return { requestId: request.requestId, cumulative: 0n };
    const channelId = this.leases.get(request.leaseId)?.channelId;
    const channel = this.#take(request);
    if ('reason' in channel) return channel;
    const envelope = request.envelope!;
    this.charges.set(request.requestId, { request, envelope, channelId: channelId! });
    for (const to of this.outgoing.values()) {
      if (to.channelId === envelope.receipt.channelId && envelope.receipt.cumulative > to.receipted)
        to.receipted = envelope.receipt.cumulative;
    }
    return { requestId: request.requestId, cumulative: channel.charged };
  }

  #sign(request: ChargeRequest): object | Refusal {
    const known = this.charges.get(request.requestId);
    if (known) return { requestId: request.requestId, cumulative: known.envelope.receipt.cumulative, envelope: known.envelope };
    const channel = this.#take(request);
    if ('reason' in channel) return channel;
    const { params, ...facts } = request.draft!;
    const receipt = {
      ...facts,
      requestId: request.requestId,
      paramsHash: paramsHashOf(keccak256, params),
      price: request.price as bigint,
      cumulative: channel.charged,
      beneficiary: channel.descriptor.payer,
      issuedAt: BigInt(Math.floor(Date.now() / 1000)),
    };
    const honest: ReceiptEnvelope = {
      version: 1,
      receipt,
      signature: this.receiptSigner.sign(receiptDigest(receipt)),
      grant: this.grants.get(facts.versionId)!,
      params,
    };
    const envelope = this.tamper?.(honest) ?? honest;
    this.charges.set(request.requestId, { request, envelope, channelId: facts.channelId });
    return { requestId: request.requestId, cumulative: channel.charged, envelope };
  }

  /** Signs `receipt` anew, as a dishonest provider would. */
  resign(envelope: ReceiptEnvelope, change: Partial<ReceiptEnvelope['receipt']>): ReceiptEnvelope {
    const receipt = { ...envelope.receipt, ...change };
    return { ...envelope, receipt, signature: this.receiptSigner.sign(receiptDigest(receipt)) };
  }

  signVoucher(
    signer: ReturnType<typeof newKey>,
    channelId: Hex,
    amount: bigint,
  ): { maxClaimableAmount: ReturnType<typeof baseUnits>; signature: Hex } {
    return { maxClaimableAmount: baseUnits(amount), signature: signer.sign(voucherDigest({ channelId, maxClaimableAmount: amount })) };
  }
}
