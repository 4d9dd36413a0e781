import { createHash } from 'node:crypto';

import { bytesToHex } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import { baseUnits, micro } from '@cupel/protocol/money';
import type { Refusal } from '@cupel/protocol/reasons';
import { kvKey } from '@cupel/protocol/wire/subjects';
import { keccak256 } from '@cupel/signing/keccak';
import { recover } from '@cupel/signing/secp256k1';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import {
  channelState,
  consumer,
  descriptorOf,
  digestOf,
  digests,
  envelopeOf,
  gatewayPayout,
  head,
  hex20,
  hex32,
  idOf,
  modelId,
  payer,
  providerPayout,
  receiptSigner,
  registryEntry,
  versionId,
  voucherOf,
} from './arrange.ts';
import { openParty } from './party.ts';
import type { Party } from './party.ts';

let party: Party;
afterEach(() => party[Symbol.dispose]());

const value = <T extends object>(result: T | Refusal): T => {
  if ('reason' in result && 'message' in result) throw new Error(`refused: ${result.message}`);
  return result as T;
};

const lease = async (p: Party, channelId: Hex, minimum: bigint, wanted = minimum) =>
  p.common.lease({ version: 1, routerId: 'r', channelId, minimum: micro(minimum), wanted: micro(wanted) });

const payload = { salt: hex32(5), input: '0xaabbcc', output: '0x0102' } as const;

describe('an edge', () => {
  const descriptor = descriptorOf(payer, providerPayout);
  const channelId = idOf(descriptor);
  const draft = {
    versionId,
    channelId,
    inputHash: hex32(1),
    outputHash: hex32(2),
    params: { seed: 7 },
    inputUnits: 3n,
    outputUnits: 4n,
    outcome: 0n,
  };
  const charge = (leaseId: string, n: number, price: bigint) =>
    party.edge.charge({ version: 1, leaseId, requestId: hex32(n), price: micro(price), publicName: 'digits', modelId, draft, payload });

  beforeEach(async () => {
    party = openParty('edge');
    party.facts.headChanged('latest', head(5, party.clock.nowMs));
    party.facts.headChanged('safe', head(4, party.clock.nowMs));
    party.facts.registryChanged(kvKey(modelId), registryEntry());
    party.facts.channelChanged(kvKey(channelId), channelState(descriptor));
    value(await party.common.voucher({ ...voucherOf(payer, descriptor, 100n), descriptor }, null));
  });

  test('signs receipts with a running sum, for the payer, under the owner’s grant', async () => {
    const { leaseId } = value(await lease(party, channelId, 50_000_000n));
    value(await charge(leaseId, 1, 20_000_001n));
    const { envelope, cumulative } = value(await charge(leaseId, 2, 5n));
    expect(cumulative).toBe(20_000_006n);
    expect(envelope?.receipt).toMatchObject({
      price: 5n,
      cumulative: 20_000_006n,
      beneficiary: payer.address,
      issuedAt: 1_000n,
      requestId: hex32(2),
    });
    expect(recover(digests.receipt(envelope!.receipt), envelope!.signature)).toBe(receiptSigner.address);
  });

  test('answers the same charge again without charging, and refuses another one under the same request id', async () => {
    const { leaseId } = value(await lease(party, channelId, 50_000_000n));
    const first = value(await charge(leaseId, 1, 7n));
    party.clock.nowMs += 9_000;
    expect(await charge(leaseId, 1, 7n)).toEqual(first);
    expect(await charge(leaseId, 1, 8n)).toMatchObject({ reason: 'request_replayed' });
    expect(party.ledger.view.channel(channelId)?.charged).toBe(7n);
  });

  test('a price beyond lease and ceiling is borne by the payee, and the receipt says what was charged', async () => {
    const { leaseId } = value(await lease(party, channelId, 1_000_000n));
    const { envelope } = value(await charge(leaseId, 1, 150_000_000n));
    expect(envelope?.receipt.price).toBe(100_000_000n);
    expect(party.metered).toContain('charge charged 100000000 50000000');
  });

  test('without a grant there is no receipt', async () => {
    const { leaseId } = value(await lease(party, channelId, 1n));
    const request = { version: 1, leaseId, requestId: hex32(1), price: micro(1n), publicName: 'digits', modelId } as const;
    expect(await party.edge.charge({ ...request, draft: { ...draft, versionId: hex32(9) } })).toMatchObject({ reason: 'version_unknown' });
    expect(await party.edge.charge(request)).toMatchObject({ reason: 'invalid_field', param: 'draft' });
  });

  test('while the registry does not show a model, no grant for it counts', async () => {
    const { leaseId } = value(await lease(party, channelId, 1n));
    const request = { version: 1, leaseId, requestId: hex32(1), price: micro(1n), publicName: 'digits', modelId: hex32(9), draft } as const;
    expect(await party.edge.charge(request)).toMatchObject({ reason: 'version_unknown', param: 'modelId' });
    expect(party.ledger.view.charge(hex32(1))).toBeUndefined();
  });

  test('strangers do not fill the ledger: sessions and vouchers of channels that are not final on chain are not written down', async () => {
    const rows = () => [...party.ledger.channels()].length;
    const before = rows();
    for (let salt = 10; salt < 13; salt++) {
      const unseen = descriptorOf(consumer, providerPayout, salt);
      const session = { channelId: idOf(unseen), keyHash: hex32(1), maxUnpaid: 0n, notAfter: 2_000n };
      const signature = consumer.sign(digests.session(session));
      expect(await party.edge.session({ version: 1, descriptor: unseen, session, signature })).toMatchObject({
        reason: 'channel_not_final',
      });
      expect(await party.common.voucher({ ...voucherOf(consumer, unseen, 1n), descriptor: unseen }, null)).toMatchObject({
        reason: 'channel_not_final',
      });
    }
    const young = descriptorOf(consumer, providerPayout, 20);
    party.facts.channelChanged(kvKey(idOf(young)), channelState(young, { openedAtBlock: 5 }));
    const voucher = { ...voucherOf(consumer, young, 1n), descriptor: young };
    expect(await party.common.voucher(voucher, null)).toMatchObject({ reason: 'channel_not_final' });
    expect(rows()).toBe(before);
    party.facts.headChanged('safe', head(5, party.clock.nowMs));
    expect(value(await party.common.voucher(voucher, null)).ceiling).toBe(1n);
  });

  test('a channel opens so many sessions a minute; wrong signatures do not use them up', async () => {
    const session = { channelId, keyHash: hex32(1), maxUnpaid: 0n, notAfter: 2_000n };
    const signature = payer.sign(digests.session(session));
    const open = (signed = signature) => party.edge.session({ version: 1, descriptor, session, signature: signed });
    for (let n = 0; n < 60; n++) expect(await open(consumer.sign(digests.session(session)))).toMatchObject({ reason: 'session_unknown' });
    for (let n = 0; n < 60; n++) value(await open());
    expect(await open()).toMatchObject({ reason: 'too_many_requests' });
    party.clock.nowMs += 60_000;
    value(await open());
  });

  test('a session is taken from the channel’s signer only, for a channel that pays us and is final', async () => {
    const session = { channelId, keyHash: hex32(1), maxUnpaid: 0n, notAfter: 2_000n };
    const open = (over: object = {}, signer = payer, d = descriptor) =>
      party.edge.session({
        version: 1,
        descriptor: d,
        session: { ...session, ...over },
        signature: signer.sign(digests.session({ ...session, ...over })),
      });
    expect(await open()).toMatchObject({ channelId, notAfter: 2_000n });
    expect(await open({}, consumer)).toMatchObject({ reason: 'session_unknown' });
    expect(await open({ notAfter: 999n })).toMatchObject({ reason: 'session_expired' });
    expect(await open({ channelId: hex32(3) })).toMatchObject({ reason: 'invalid_field' });
    const foreign = descriptorOf(payer, hex20(1));
    expect(await open({ channelId: idOf(foreign) }, payer, foreign)).toMatchObject({ param: 'descriptor.payee' });
    const short = { ...descriptor, withdrawDelay: 60 };
    expect(await open({ channelId: idOf(short) }, payer, short)).toMatchObject({ reason: 'withdraw_delay_too_short' });
    const unseen = descriptorOf(payer, providerPayout, 2);
    expect(await open({ channelId: idOf(unseen) }, payer, unseen)).toMatchObject({ reason: 'channel_not_final' });
  });

  test('leases are cut to what is left, given back, and expire', async () => {
    const first = value(await lease(party, channelId, 1n, 999_000_000n));
    expect(first.amount).toBe(100_000_000n);
    expect(await lease(party, channelId, 1n)).toMatchObject({ reason: 'insufficient_voucher', required: 101n, missing: 1n });
    expect(await party.common.release({ version: 1, leaseId: first.leaseId, routerId: 'other' })).toEqual({ released: 0n });
    expect(await party.common.release({ version: 1, leaseId: first.leaseId, routerId: 'r' })).toEqual({ released: 100_000_000n });
    value(await lease(party, channelId, 60_000_000n));
    party.clock.nowMs += 200_000;
    party.facts.headChanged('latest', head(6, party.clock.nowMs));
    value(await lease(party, channelId, 40_000_000n));
    party.clock.nowMs += 100_001;
    expect(await party.common.expire()).toBe(1);
    expect(party.ledger.view.channel(channelId)?.leased).toBe(40_000_000n);
    party.facts.headChanged('latest', head(7, party.clock.nowMs));
    value(await lease(party, channelId, 60_000_000n));
  });

  test('a renewed lease outlives its first time, its amount as it is; an ended or foreign one is not renewed', async () => {
    const { leaseId, expiresAtMs } = value(await lease(party, channelId, 60_000_000n));
    const renew = (over: object = {}) =>
      party.common.lease({ version: 1, routerId: 'r', channelId, minimum: micro(0n), wanted: micro(0n), renew: leaseId, ...over });
    expect(await renew({ routerId: 'other' })).toMatchObject({ reason: 'invalid_field', param: 'renew' });
    expect(await renew({ channelId: hex32(9) })).toMatchObject({ reason: 'invalid_field', param: 'renew' });
    party.clock.nowMs += 200_000;
    // The channel closes, and the chain is out of sight: what is under way stays covered.
    party.facts.channelChanged(kvKey(channelId), channelState(descriptor, { status: 'closing', closeAt: 99 }));
    const renewed = value(await renew());
    expect(renewed).toEqual({ leaseId, channelId, amount: 60_000_000n, expiresAtMs: expiresAtMs + 200_000 });
    party.clock.nowMs = expiresAtMs + 1;
    expect(await party.common.expire()).toBe(0);
    expect(party.ledger.view.channel(channelId)?.leased).toBe(60_000_000n);
    expect(value(await charge(leaseId, 1, 60_000_000n)).cumulative).toBe(60_000_000n);
    party.clock.nowMs = renewed.expiresAtMs;
    expect(await party.common.expire()).toBe(1);
    expect(await renew()).toMatchObject({ reason: 'invalid_field', param: 'renew' });
  });

  test('with the chain out of sight it serves up to the exposure, then 402 with the amount; a seen head lifts it', async () => {
    value(await party.common.voucher(voucherOf(payer, descriptor, 900n), null));
    party.clock.nowMs += 20_000;
    const granted = value(await lease(party, channelId, 1n, 900_000_000n));
    expect(granted.amount).toBe(100_000_000n);
    value(await charge(granted.leaseId, 1, 100_000_000n));
    expect(await lease(party, channelId, 2_500_000n)).toMatchObject({ reason: 'exposure_reached', missing: 3n });
    party.facts.headChanged('latest', head(6, party.clock.nowMs));
    expect(value(await lease(party, channelId, 2_500_000n)).amount).toBe(2_500_000n);
  });

  test('keeps payloads sealed and gives them back until their time is over', async () => {
    const { leaseId } = value(await lease(party, channelId, 1n));
    value(await charge(leaseId, 1, 1n));
    expect(value(party.common.payload(hex32(1)))).toMatchObject({ payload, publicName: 'digits', descriptor });
    expect(Buffer.from(party.ledger.records.payload(hex32(1), party.clock.nowMs)!).includes(Buffer.from('aabbcc', 'hex'))).toBe(false);
    party.clock.nowMs += 60_000;
    expect(party.common.payload(hex32(1))).toMatchObject({ reason: 'not_found' });
  });

  test('a closing channel gets no new work, but what is under way is charged', async () => {
    const { leaseId } = value(await lease(party, channelId, 5n));
    party.facts.channelChanged(kvKey(channelId), channelState(descriptor, { status: 'closing', closeAt: 99 }));
    expect(await lease(party, channelId, 5n)).toMatchObject({ reason: 'channel_closing' });
    expect(value(await charge(leaseId, 1, 5n)).cumulative).toBe(5n);
  });
});

describe('a gateway', () => {
  const descriptor = descriptorOf(consumer, gatewayPayout);
  const channelId = idOf(descriptor);

  const pay = async (need = 1_000_000n) => party.providers.pay({ version: 1, payee: providerPayout, modelId, need: micro(need) });
  const showOutgoing = async (over: object = {}) => {
    const [row] = [...party.ledger.outgoing()];
    party.facts.channelChanged(kvKey(row!.channelId), channelState({ ...row!.descriptor, signerKind: 0 }, { deposit: 500n, ...over }));
    await party.ledger.write(() => undefined);
    return row!.channelId;
  };
  /** Deposits that are mined, and projected, as soon as they are sent. */
  const instantly = () => {
    const opened: string[] = [];
    const chain = {
      async open(key: string) {
        opened.push(key);
        await showOutgoing();
        return { kind: 'mined', hash: hex32(1) } as const;
      },
      topUp(key: string) {
        opened.push(key);
        return Promise.resolve({ kind: 'pending', hash: hex32(2) } as const);
      },
    };
    return { opened, chain };
  };

  const start = async (chain: Parameters<typeof openParty>[1]) => {
    party = openParty('gateway', chain);
    party.facts.headChanged('latest', head(5, party.clock.nowMs));
    party.facts.headChanged('safe', head(4, party.clock.nowMs));
    party.facts.registryChanged(kvKey(modelId), registryEntry());
    party.facts.channelChanged(kvKey(channelId), channelState(descriptor));
    const { apiKey, consumerId } = await party.management.createConsumer({ name: 'demo' });
    value(await party.management.register(consumerId, { descriptor }));
    value(await party.management.voucher(consumerId, voucherOf(consumer, descriptor, 100n)));
    return { apiKey, consumerId };
  };

  const bill = (leaseId: string, n: number, envelope: ReturnType<typeof envelopeOf>, price = envelope.receipt.price) =>
    party.gateway.charge({
      version: 1,
      leaseId,
      requestId: hex32(n),
      price: micro(price),
      publicName: 'digits',
      modelId,
      envelope,
      payload,
    });

  test('opens the channel once for many askers, and signs vouchers that cover need and headroom', async () => {
    const { opened, chain } = instantly();
    await start(chain);
    const [a, b] = await Promise.all([pay(), pay()]);
    expect(opened).toEqual([`open:${value(a).channelId}`]);
    expect(value(b).channelId).toBe(value(a).channelId);
    const { voucher, session, descriptor: own } = value(a);
    expect(voucher.maxClaimableAmount).toBe(11n);
    expect(recover(digests.voucher({ channelId: value(a).channelId, maxClaimableAmount: 11n }), voucher.signature)).toBe(payer.address);
    expect(own).toMatchObject({ payer: payer.address, payee: providerPayout, signer: payer.address });
    const { key, signature, ...signed } = session;
    expect(signed.keyHash).toBe(bytesToHex(keccak256(Buffer.from(key.slice(2), 'hex'))));
    expect(recover(digests.session({ channelId: value(a).channelId, ...signed }), signature)).toBe(payer.address);
    expect(await pay(50_000_001n)).toMatchObject({ reason: 'no_provider', message: expect.stringContaining('maxPrepaidBaseUnits') });
  });

  test('a deposit that does not become final is refused by name, and asked for again under the same key', async () => {
    const keys: string[] = [];
    await start({
      open(key) {
        keys.push(key);
        return Promise.resolve({ kind: 'unknown', message: 'no answer' });
      },
    });
    expect(await pay()).toMatchObject({ reason: 'no_provider', message: expect.stringContaining('not final yet') });
    expect(new Set(keys).size).toBe(1);
  });

  test('charges the consumer what a fitting bill says, once, and owes it to the provider', async () => {
    const { chain } = instantly();
    await start(chain);
    const outgoing = value(await pay()).channelId;
    const { leaseId } = value(await lease(party, channelId, 30_000_000n));
    const envelope = envelopeOf(hex32(1), outgoing, 20_000_000n, 20_000_000n);
    expect(value(await bill(leaseId, 1, envelope)).cumulative).toBe(20_000_000n);
    expect(value(await bill(leaseId, 1, envelope)).cumulative).toBe(20_000_000n);
    expect(party.ledger.view.outgoing(outgoing)).toMatchObject({ receipted: 20_000_000n, lastCumulative: 20_000_000n });
    expect(party.management.ledger().totals).toMatchObject({ requests: 1, chargedMicro: 20_000_000n, receiptedMicro: 20_000_000n });
    expect(value(await pay()).receipted).toBe(20_000_000n);
  });

  test('charges nothing for a bill that does not fit', async () => {
    const { chain } = instantly();
    await start(chain);
    const outgoing = value(await pay()).channelId;
    const { leaseId } = value(await lease(party, channelId, 30_000_000n));
    const good = envelopeOf(hex32(1), outgoing, 2n, 2n);
    expect(await bill(leaseId, 2, good)).toMatchObject({ reason: 'receipt_unfit' });
    expect(await bill(leaseId, 1, good, 3n)).toMatchObject({ reason: 'receipt_unfit' });
    expect(await bill(leaseId, 1, { ...good, signature: payer.sign(digests.receipt(good.receipt)) })).toMatchObject({
      reason: 'receipt_unfit',
    });
    expect(await bill(leaseId, 1, envelopeOf(hex32(1), hex32(99), 2n, 2n))).toMatchObject({ reason: 'receipt_unfit' });
    expect(await bill(leaseId, 1, envelopeOf(hex32(1), outgoing, 2n, 2n, { beneficiary: hex20(1) }))).toMatchObject({
      reason: 'receipt_unfit',
    });
    expect(party.management.ledger().totals).toMatchObject({ requests: 0, chargedMicro: 0n, receiptedMicro: 0n });
  });

  test('gives the consumer back what an upheld receipt was charged, once, after the verdict is final', async () => {
    const { chain } = instantly();
    const { consumerId } = await start(chain);
    const outgoing = value(await pay()).channelId;
    const { leaseId } = value(await lease(party, channelId, 30_000_000n));
    const envelope = envelopeOf(hex32(1), outgoing, 20_000_001n, 20_000_001n);
    value(await bill(leaseId, 1, envelope));
    const receiptDigest = digestOf(envelope);
    const dispute = {
      version: 1,
      receiptDigest,
      modelId,
      challenger: hex20(1),
      beneficiary: payer.address,
      status: 'upheld',
      slashed: 1n,
      refund: 21n,
      tx: hex32(1),
    } as const;
    party.facts.disputeChanged(kvKey(receiptDigest), dispute);
    expect(party.upheld).toEqual([]);
    party.facts.headChanged('safe', head(5, party.clock.nowMs));
    expect(party.upheld).toEqual([receiptDigest]);
    const credit = (digest: Hex) => party.gateway.credit(digest, baseUnits(21n));
    expect(await credit(receiptDigest)).toEqual({ credited: 20_000_001n, lost: 0n });
    expect(await credit(receiptDigest)).toEqual({ credited: 0n, lost: 0n });
    expect(await credit(hex32(4))).toEqual({ credited: 0n, lost: 0n });
    expect(party.management.balance(consumerId)).toMatchObject({ chargedMicro: 20_000_001n, creditedMicro: 20_000_001n });
    expect(party.management.receipts(consumerId, { after: 0, limit: 10 }).receipts[0]).toMatchObject({ creditedMicro: 20_000_001n });
  });

  test('passes on what the bond has refunded, no more: the rest is told as a loss', async () => {
    const { chain } = instantly();
    const { consumerId } = await start(chain);
    const outgoing = value(await pay()).channelId;
    const { leaseId } = value(await lease(party, channelId, 30_000_000n));
    const envelope = envelopeOf(hex32(1), outgoing, 20_000_001n, 20_000_001n);
    value(await bill(leaseId, 1, envelope));
    expect(await party.gateway.credit(digestOf(envelope), baseUnits(5n))).toEqual({ credited: 5_000_000n, lost: 15_000_001n });
    expect(await party.gateway.credit(digestOf(envelope), baseUnits(21n))).toEqual({ credited: 0n, lost: 0n });
    expect(party.management.balance(consumerId)).toMatchObject({ chargedMicro: 20_000_001n, creditedMicro: 5_000_000n });
  });

  test('consents to a challenge of its own receipts only', async () => {
    const { chain } = instantly();
    await start(chain);
    const outgoing = value(await pay()).channelId;
    const { leaseId } = value(await lease(party, channelId, 5n));
    const envelope = envelopeOf(hex32(1), outgoing, 5n, 5n);
    value(await bill(leaseId, 1, envelope));
    const ask = (requestId: Hex, receiptDigest: Hex) =>
      party.gateway.consent({ version: 1, requestId, receiptDigest, challenger: hex20(9) });
    const consent = value(ask(hex32(1), digestOf(envelope)));
    const digest = digests.consent({ receipt: digestOf(envelope), challenger: hex20(9), notAfter: consent.notAfter });
    expect(recover(digest, consent.signature)).toBe(payer.address);
    expect(consent.descriptor).toMatchObject({ payee: providerPayout });
    expect(ask(hex32(1), hex32(2))).toMatchObject({ reason: 'not_found' });
    expect(ask(hex32(2), digestOf(envelope))).toMatchObject({ reason: 'not_found' });
  });

  test('tops the provider’s channel up before it runs out, once', async () => {
    const { opened, chain } = instantly();
    await start(chain);
    const outgoing = value(await pay()).channelId;
    for (let n = 1; n <= 6; n++) {
      value(await party.management.voucher(null, voucherOf(consumer, descriptor, 100n + BigInt(n) * 60n)));
      const { leaseId } = value(await lease(party, channelId, 45_000_000n));
      value(await bill(leaseId, n, envelopeOf(hex32(n), outgoing, 45_000_000n, 45_000_000n * BigInt(n))));
      value(await pay(45_000_000n));
    }
    expect(opened).toEqual([`open:${outgoing}`, `top-up:${outgoing}:1`]);
  });

  test('who knows a descriptor does not own the channel: the first voucher binds it', async () => {
    const { chain } = instantly();
    party = openParty('gateway', chain);
    party.facts.headChanged('latest', head(5, party.clock.nowMs));
    party.facts.headChanged('safe', head(4, party.clock.nowMs));
    party.facts.channelChanged(kvKey(channelId), channelState(descriptor));
    const thief = await party.management.createConsumer({ name: 'thief' });
    const victim = await party.management.createConsumer({ name: 'victim' });
    value(await party.management.register(thief.consumerId, { descriptor }));
    value(await party.management.register(victim.consumerId, { descriptor }));
    value(await party.management.voucher(victim.consumerId, voucherOf(consumer, descriptor, 10n)));
    const who = (apiKey: string) => party.gateway.authenticate(createHash('sha256').update(apiKey).digest('hex'));
    expect(value(who(victim.apiKey)).channelId).toBe(channelId);
    expect(value(who(thief.apiKey)).channelId).toBeUndefined();
    expect(await party.management.voucher(thief.consumerId, voucherOf(consumer, descriptor, 11n))).toMatchObject({ reason: 'forbidden' });
    expect(party.management.channel(thief.consumerId, channelId)).toMatchObject({ reason: 'not_found' });
  });

  test('vouchers: lower, equal, beyond the deposit, for an unknown channel, with another channel’s descriptor', async () => {
    const { chain } = instantly();
    await start(chain);
    const send = (amount: bigint, over: object = {}) => party.common.voucher({ ...voucherOf(consumer, descriptor, amount), ...over }, null);
    expect(await send(99n)).toMatchObject({ reason: 'voucher_not_higher', required: 101n });
    expect(await send(100n)).toMatchObject({ reason: 'voucher_not_higher' });
    expect(await send(1_001n)).toMatchObject({ reason: 'voucher_beyond_deposit', missing: 1n });
    expect(await send(101n, { signature: voucherOf(payer, descriptor, 101n).signature })).toMatchObject({
      reason: 'voucher_bad_signature',
    });
    expect(await send(101n, { channelId: hex32(1) })).toMatchObject({ reason: 'no_channel' });
    expect(await send(101n, { descriptor: descriptorOf(consumer, gatewayPayout, 9) })).toMatchObject({ reason: 'invalid_field' });
    expect(value(await send(1_000n)).ceiling).toBe(baseUnits(1_000n));
  });
});
