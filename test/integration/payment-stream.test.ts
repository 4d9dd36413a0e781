import type { Hex } from '@cupel/protocol/hex';
import { receiptEvent } from '@cupel/protocol/wire/bus';
import { receiptsStream, receiptsSubject } from '@cupel/protocol/wire/subjects';
import { eventually } from '@cupel/testing/wait';
import { expect, test } from 'vitest';

import { routerTwin } from './payment/router-twin.ts';
import { ADMIN_TOKEN, channelId, hex32, openWorld, SCOPE, startPayment } from './payment/world.ts';
import type { World } from './payment/world.ts';

const stream = { name: receiptsStream(SCOPE), subjects: [receiptsSubject(SCOPE)], maxAgeMs: 3_600_000, maxBytes: 256 * 1024 * 1024 };

const follow = async (world: World, durable: string) => {
  const seen = new Map<Hex, bigint>();
  await world.bus.consume({
    stream,
    durable,
    schema: receiptEvent,
    handler({ envelope }) {
      seen.set(envelope.receipt.requestId, envelope.receipt.price);
      return Promise.resolve();
    },
  });
  return seen;
};

const ledgerOf = async (world: World) => {
  const response = await fetch(`${world.managementUrl}/ledger`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
  expect(response.status).toBe(200);
  return (await response.json()) as {
    totals: { requests: number; chargedMicro: string; unpublishedReceipts: number };
    channels: { ceiling: string }[];
  };
};

test('all JetStream data deleted in mid-run: nothing owed changes, and every receipt is told again', { timeout: 60_000 }, async () => {
  await using world = await openWorld();
  const payment = await startPayment(world.configPath);
  const router = routerTwin(world.bus);
  await eventually('a voucher to be taken', async () => (await router.voucher(500_000n))?.ok);
  const before = await follow(world, 'before');

  let leaseId = '';
  const charge = async (from: number, to: number): Promise<void> => {
    const granted = await router.insist(() => router.lease(1n, 1_000_000n));
    if (!granted.ok) throw new Error(granted.refusal.message);
    leaseId = granted.value.leaseId;
    for (let n = from; n <= to; n++) {
      const charged = await router.insist(() => router.charge(leaseId, hex32(n), BigInt(n)));
      expect(charged).toMatchObject({ ok: true });
    }
  };
  await charge(1, 30);
  await eventually('30 receipts', () => before.size === 30);

  await world.nats.restart({ wipe: true });
  await charge(31, 60);
  const { totals, channels } = await ledgerOf(world);
  const sum = (60n * 61n) / 2n;
  expect(totals).toMatchObject({ requests: 60, chargedMicro: String(sum) });
  expect(channels[0]?.ceiling).toBe('500000');

  const after = await follow(world, 'after');
  await eventually('all 60 receipts in the new stream', () => after.size === 60, 20_000);
  expect([...after.values()].reduce((a, b) => a + b, 0n)).toBe(sum);
  expect((await ledgerOf(world)).totals.unpublishedReceipts).toBe(0);

  // The watcher's buckets are gone too, until it has rebuilt them: what was known of the channel still counts.
  await world.project();
  expect(await router.insist(() => router.voucher(600_000n))).toMatchObject({ ok: true, value: { channelId, ceiling: 600_000n } });
  expect(await payment.stop()).toBe(0);
});

test(
  'chain out of sight: requests go on up to the exposure, then 402 with the amount missing; charges survive a restart',
  { timeout: 60_000 },
  async () => {
    await using world = await openWorld({ overConfig: { exposureBaseUnits: '3' } });
    const payment = await startPayment(world.configPath);
    const router = routerTwin(world.bus);
    await eventually('a voucher to be taken', async () => (await router.voucher(500_000n))?.ok);
    const fresh = await router.insist(() => router.lease(9_000_000n, 9_000_000n));
    if (!fresh.ok) throw new Error(fresh.refusal.message);
    await router.insist(() => router.charge(fresh.value.leaseId, hex32(1), 9_000_000n));

    world.loseChain();
    await new Promise((resolve) => setTimeout(resolve, 16_500));
    const granted = await router.insist(() => router.lease(1n, 9_000_000n));
    expect(granted).toMatchObject({ ok: true, value: { amount: 3_000_000n } });
    if (!granted.ok) return;
    await router.insist(() => router.charge(granted.value.leaseId, hex32(2), 3_000_000n));
    expect(await router.insist(() => router.lease(1_500_000n, 1_500_000n))).toMatchObject({
      ok: false,
      refusal: { reason: 'exposure_reached', missing: 2n },
    });
    await payment.kill();
    const again = await startPayment(world.configPath);
    expect(await router.insist(() => router.lease(1n, 1n))).toMatchObject({ ok: false, refusal: { reason: 'exposure_reached' } });
    expect(await again.stop()).toBe(0);
  },
);
