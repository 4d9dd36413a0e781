import type { Hex } from '@cupel/protocol/hex';
import { baseUnits, micro } from '@cupel/protocol/money';
import type { Refusal } from '@cupel/protocol/reasons';
import type { OutgoingValue } from '@cupel/protocol/wire/bus';
import { kvKey } from '@cupel/protocol/wire/subjects';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { isUsedUp, prepaidFor, quoteVoucher, unreceipted } from '../src/quote/prepaid.ts';
import type { SettlementOutcome } from '../src/settle/redeem.ts';
import {
  channelState,
  consumer,
  descriptorOf,
  envelopeOf,
  gatewayPayout,
  head,
  hex20,
  hex32,
  idOf,
  modelId,
  providerPayout,
  registryEntry,
  voucherOf,
} from './arrange.ts';
import { openParty } from './party.ts';
import type { Party } from './party.ts';

/** Of openParty: at most 50 base units prepaid, headroom 10, deposits of 500. */
const PREPAID = 50n;
const descriptor = descriptorOf(consumer, gatewayPayout);
const channelId = idOf(descriptor);
let party: Party;
let sent: string[];
let refuseNext: SettlementOutcome[];

const value = <T extends object>(result: T | Refusal): T => {
  if ('reason' in result && 'message' in result) throw new Error(`refused: ${result.message}`);
  return result as T;
};

const show = async (id: Hex, over: object): Promise<void> => {
  const { descriptor: own } = party.ledger.view.outgoing(id)!;
  party.facts.channelChanged(kvKey(id), channelState({ ...own, signerKind: 0 }, { deposit: 500n, ...over }));
  await party.ledger.write(() => undefined);
};

const mined = { kind: 'mined', hash: hex32(1) } as const;
const send = (key: string): Promise<SettlementOutcome> => {
  sent.push(key);
  return Promise.resolve(refuseNext.shift() ?? mined);
};

beforeEach(async () => {
  sent = [];
  refuseNext = [];
  party = openParty('gateway', {
    async open(key) {
      sent.push(key);
      await show(key.slice('open:'.length) as Hex, {});
      return mined;
    },
    topUp: send,
    startExit: send,
    withdraw: send,
  });
  heads(5);
  party.facts.registryChanged(kvKey(modelId), registryEntry());
  party.facts.channelChanged(kvKey(channelId), channelState(descriptor));
  value(await party.management.register(null, { descriptor }));
  value(await party.management.voucher(null, voucherOf(consumer, descriptor, 900n)));
});
afterEach(() => party[Symbol.dispose]());

const heads = (number: number, timestamp = 1): void => {
  party.facts.headChanged('latest', { ...head(number, party.clock.nowMs), timestamp });
  party.facts.headChanged('safe', { ...head(number - 1, party.clock.nowMs), timestamp });
};
const pay = (need: bigint, payee: Hex = providerPayout): Promise<OutgoingValue | Refusal> =>
  party.providers.pay({ version: 1, payee, modelId, need: micro(need * 1_000_000n) });
/** One receipt of `price` base units; the provider says that it has counted `cumulative`. */
const bill = async (n: number, outgoing: Hex, price: bigint, cumulative: bigint): Promise<void> => {
  heads(5 + n);
  const amount = micro(price * 1_000_000n);
  const lease = value(await party.common.lease({ version: 1, routerId: 'r', channelId, minimum: amount, wanted: amount }));
  const envelope = envelopeOf(hex32(n), outgoing, amount, cumulative * 1_000_000n);
  const request = {
    version: 1,
    leaseId: lease.leaseId,
    requestId: hex32(n),
    price: amount,
    publicName: 'digits',
    modelId,
    envelope,
  } as const;
  value(await party.gateway.charge(request));
};
const statusOf = (id: Hex) => party.ledger.view.outgoing(id)?.status;
const wait = (ms: number): void => {
  party.clock.nowMs += ms;
};

describe('bills that never came', () => {
  test('a channel that stays at its limit is given up for a new one, and its exit follows', async () => {
    const first = value(await pay(1n)).channelId;
    await bill(1, first, 1n, 45n);
    expect(await pay(10n)).toMatchObject({ reason: 'no_provider', message: expect.stringContaining('maxPrepaidBaseUnits') });
    wait(179_000);
    expect(await pay(10n)).toMatchObject({ reason: 'no_provider' });
    wait(1_000);
    const second = value(await pay(10n)).channelId;
    expect(second).not.toBe(first);
    expect(statusOf(first)).toBe('retiring');
    await party.exits.run();
    expect(sent).toEqual([`open:${first}`, `open:${second}`, `startExit:${first}`]);
    // A late bill still counts on it.
    await bill(2, first, 1n, 46n);
    expect(value(await pay(10n)).channelId).toBe(second);
  });

  test('a bill in time keeps the channel', async () => {
    const first = value(await pay(1n)).channelId;
    await bill(1, first, 1n, 45n);
    expect(await pay(10n)).toMatchObject({ reason: 'no_provider' });
    wait(179_000);
    await bill(2, first, 1n, 46n);
    wait(2_000);
    expect(await pay(10n)).toMatchObject({ reason: 'no_provider' });
    expect(statusOf(first)).toBe('open');
  });

  test('a need above the limit alone gives no channel up', async () => {
    const first = value(await pay(1n)).channelId;
    expect(await pay(51n)).toMatchObject({ reason: 'no_provider' });
    wait(200_000);
    expect(await pay(51n)).toMatchObject({ reason: 'no_provider' });
    expect(statusOf(first)).toBe('open');
  });
});

describe('the way out', () => {
  test('an idle channel is exited, and its deposit withdrawn once the chain’s own time has come', async () => {
    const id = value(await pay(1n)).channelId;
    sent.length = 0;
    wait(3_599_000);
    await party.exits.run();
    expect(statusOf(id)).toBe('open');
    wait(2_000);
    await party.exits.run();
    expect(statusOf(id)).toBe('retiring');
    expect(sent).toEqual([`startExit:${id}`]);
    await show(id, { status: 'closing', closeAt: 90_000 });
    heads(9, 89_999);
    await party.exits.run();
    expect(sent).toEqual([`startExit:${id}`]);
    heads(10, 90_000);
    await party.exits.run();
    expect(sent).toEqual([`startExit:${id}`, `withdraw:${id}`]);
    await show(id, { status: 'closed', closeAt: 90_000, settled: 3n, deposit: 0n });
    expect(party.ledger.view.outgoing(id)).toMatchObject({ status: 'closed', settled: 3n });
  });

  test('a signature and a bill count as use', async () => {
    const id = value(await pay(1n)).channelId;
    wait(3_000_000);
    value(await pay(20n));
    wait(3_000_000);
    await party.exits.run();
    expect(statusOf(id)).toBe('open');
    await bill(1, id, 1n, 1n);
    wait(3_000_000);
    await party.exits.run();
    expect(statusOf(id)).toBe('open');
    wait(600_001);
    await party.exits.run();
    expect(statusOf(id)).toBe('retiring');
  });

  test('an exit that the chain refused is sent again under a new key, after a rest; one that a reorg undid is started again', async () => {
    const id = value(await pay(1n)).channelId;
    wait(3_601_000);
    sent.length = 0;
    refuseNext.push({ kind: 'reverted', hash: hex32(2), message: 'out of gas' });
    await party.exits.run();
    await party.exits.run();
    wait(600_001);
    await party.exits.run();
    expect(sent).toEqual([`startExit:${id}`, `startExit:${id}:1`]);
    await show(id, { status: 'closing', closeAt: 90_000 });
    await show(id, { status: 'open' });
    expect(statusOf(id)).toBe('retiring');
  });
});

describe('one provider, many addresses', () => {
  test('a new payout address does not begin at nothing lost, and a stranger’s does', async () => {
    const first = value(await pay(PREPAID)).channelId;
    const second = value(await pay(PREPAID, hex20(0xe1))).channelId;
    expect(party.ledger.view.outgoing(first)).toMatchObject({ signedMax: PREPAID });
    expect(party.ledger.view.outgoing(second)).toMatchObject({ signedMax: PREPAID });
    // Both are out, and no receipt shows any of it.
    expect(await pay(1n, hex20(0xe2))).toMatchObject({ reason: 'no_provider', message: expect.stringContaining('without receipts') });
    expect([...party.ledger.outgoing()]).toHaveLength(2);
    party.facts.registryChanged(kvKey(modelId), registryEntry({ owner: hex20(0xf1) }));
    expect(value(await pay(1n, hex20(0xe3))).voucher.maxClaimableAmount).toBe(11n);
  });

  test('what its other channels have taken is missing on each', async () => {
    value(await pay(PREPAID));
    // 30 and the headroom of 10.
    value(await pay(30n, hex20(0xe1)));
    expect(await pay(11n, hex20(0xe2))).toMatchObject({ reason: 'no_provider', message: expect.stringContaining('its receipts allow 10') });
    expect(value(await pay(10n, hex20(0xe2))).voucher.maxClaimableAmount).toBe(10n);
    expect(value(await pay(30n, hex20(0xe1))).voucher.maxClaimableAmount).toBe(40n);
  });

  test('channels to one owner are few, however little each has cost', async () => {
    for (let n = 0; n < 4; n++) value(await pay(1n, hex20(0xe0 + n)));
    expect(await pay(1n, hex20(0xe4))).toMatchObject({ reason: 'no_provider', message: expect.stringContaining('not closed yet') });
  });

  test('a model that the registry does not show is not paid for', async () => {
    expect(await party.providers.pay({ version: 1, payee: providerPayout, modelId: hex32(9), need: micro(1n) })).toMatchObject({
      reason: 'no_provider',
      param: 'modelId',
    });
    expect([...party.ledger.outgoing()]).toEqual([]);
  });
});

describe('what a provider may still cost', () => {
  const limits = { maxPrepaid: baseUnits(50n), headroom: baseUnits(0n) };
  const sums = (signedMax: bigint, receipted: bigint, over: { status?: string; settled?: bigint } = {}) => ({
    status: over.status ?? 'open',
    signedMax: baseUnits(signedMax),
    settled: baseUnits(over.settled ?? 0n),
    receipted: micro(receipted * 1_000_000n),
  });

  test('what is signed and not receipted; on a closed channel what was settled', () => {
    expect(unreceipted(sums(50n, 20n))).toBe(30n);
    expect(unreceipted(sums(50n, 20n, { status: 'closing', settled: 20n }))).toBe(30n);
    expect(unreceipted(sums(50n, 20n, { status: 'closed', settled: 25n }))).toBe(5n);
    expect(unreceipted(sums(50n, 20n, { status: 'closed', settled: 10n }))).toBe(0n);
  });

  test('twice the limit over all channels, and one percent of the receipts', () => {
    const own = sums(0n, 0n);
    expect(prepaidFor(limits, own, [])).toBe(50n);
    expect(prepaidFor(limits, own, [sums(70n, 0n)])).toBe(30n);
    expect(prepaidFor(limits, own, [sums(50n, 0n), sums(50n, 0n)])).toBe(0n);
    expect(prepaidFor(limits, own, [sums(600n, 500n)])).toBe(5n);
    expect(prepaidFor(limits, sums(900n, 900n), [sums(600n, 500n)])).toBe(14n);
  });

  test('what was signed before may be signed again below a fallen limit', () => {
    const row = { signedMax: baseUnits(20n), receipted: micro(0n), lastCumulative: micro(0n), deposit: baseUnits(100n) };
    expect(quoteVoucher(row, micro(15_000_000n), { ...limits, maxPrepaid: baseUnits(5n) })).toEqual({ kind: 'sign', amount: 20n });
    expect(isUsedUp(row, limits)).toBe(false);
    expect(isUsedUp({ ...row, signedMax: baseUnits(25n) }, limits)).toBe(true);
    expect(isUsedUp({ ...row, lastCumulative: micro(25_000_000n) }, limits)).toBe(true);
  });
});
