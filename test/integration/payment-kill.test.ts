import { DatabaseSync } from 'node:sqlite';

import type { Hex } from '@cupel/protocol/hex';
import { expect, test } from 'vitest';

import { routerTwin } from './payment/router-twin.ts';
import { channelId, hex32, launchPayment, openWorld, startPayment } from './payment/world.ts';

const KILLS = 25;

/** mulberry32: the run can be repeated with the seed that the failure names. */
const randomOf = (seed: number) => {
  let a = seed;
  return (): number => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
};

test(
  'kill −9 at 25 random moments: no acknowledged voucher is lost, nothing is charged twice, the sums are equal',
  { timeout: 170_000 },
  async () => {
    const seed = Date.now() % 1_000_000;
    const random = randomOf(seed);
    await using world = await openWorld();
    const router = routerTwin(world.bus);
    let payment = await startPayment(world.configPath);

    let running = true;
    let acknowledgedVoucher = 0n;
    const acknowledged = new Map<Hex, { readonly price: bigint; readonly cumulative: bigint; readonly signature: string }>();
    const sent = new Map<Hex, bigint>();

    const raiseVouchers = async (): Promise<void> => {
      for (let amount = 1_000n; running; amount += 7n) {
        const answer = await router.voucher(amount);
        if (answer?.ok) acknowledgedVoucher = amount;
        else if (answer) expect(answer.refusal.reason).toBe('voucher_not_higher');
      }
    };
    let next = 0;
    const charge = async (): Promise<void> => {
      while (running) {
        const granted = await router.insist(() => router.lease(1n, 40_000n));
        if (!granted.ok) {
          expect(['insufficient_voucher', 'no_channel', 'channel_not_final', 'exposure_reached']).toContain(granted.refusal.reason);
          await new Promise((resolve) => setTimeout(resolve, 20));
          continue;
        }
        for (let n = 0; n < 4 && running; n++) {
          const requestId = hex32((next += 1));
          const price = BigInt(1 + Math.floor(random() * 9_000));
          sent.set(requestId, price);
          const first = await router.insist(() => router.charge(granted.value.leaseId, requestId, price));
          if (!first.ok) throw new Error(`refused: ${first.refusal.message}`);
          const receipt = first.value.envelope!.receipt;
          acknowledged.set(requestId, {
            price: receipt.price,
            cumulative: first.value.cumulative,
            signature: first.value.envelope!.signature,
          });
          // Now and then the answer is asked for again, as a router does that lost it.
          if (random() < 0.2) {
            const again = await router.insist(() => router.charge(granted.value.leaseId, requestId, price));
            expect(again).toEqual(first);
          }
        }
      }
    };
    const work = Promise.all([raiseVouchers(), ...Array.from({ length: 6 }, charge)]);

    let killedInWork = 0;
    for (let n = 0; n < KILLS; n++) {
      const before = acknowledged.size;
      await new Promise((resolve) => setTimeout(resolve, 30 + random() * 250));
      await payment.kill();
      if (acknowledged.size > before) killedInWork += 1;
      payment = await startPayment(world.configPath);
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    running = false;
    await work;
    expect(await payment.stop()).toBe(0);

    const db = new DatabaseSync(world.ledgerPath, { readOnly: true });
    const rows = db.prepare('SELECT request_id, price, charged, cumulative, envelope FROM charges ORDER BY sequence').all();
    const channel = db.prepare('SELECT charged, leased FROM channels WHERE channel_id = ?').get(channelId)!;
    const voucher = db.prepare('SELECT max_claimable FROM vouchers WHERE channel_id = ?').get(channelId)!;
    const openLeases = db.prepare("SELECT amount, charged FROM leases WHERE state = 'open'").all();
    db.close();
    const big = (value: unknown): bigint => BigInt(String(value));
    const say = `seed ${seed}`;

    expect(BigInt(String(voucher['max_claimable'])) >= acknowledgedVoucher, say).toBe(true);
    expect(new Set(rows.map((r) => r['request_id'])).size, say).toBe(rows.length);
    for (const [requestId, seen] of acknowledged) {
      const row = rows.find((r) => r['request_id'] === requestId);
      expect({ say, requestId, charged: row && big(row['charged']), cumulative: row && big(row['cumulative']) }).toEqual({
        say,
        requestId,
        charged: seen.price,
        cumulative: seen.cumulative,
      });
      expect(String(row!['envelope'])).toContain(seen.signature);
      expect(seen.price).toBe(sent.get(requestId));
    }
    expect(rows.length, say).toBe(sent.size);
    const total = rows.reduce((sum, r) => sum + big(r['charged']), 0n);
    expect(total, say).toBe([...sent.values()].reduce((sum, price) => sum + price, 0n));
    expect(big(channel['charged']), say).toBe(total);
    expect(big(rows.at(-1)!['cumulative']), say).toBe(total);
    expect(big(channel['leased']), say).toBe(openLeases.reduce((sum, l) => sum + big(l['amount']) - big(l['charged']), 0n));
    expect(acknowledged.size, say).toBeGreaterThan(100);
    expect(killedInWork, say).toBeGreaterThan(5);
  },
);

test('a second payment process on the same ledger exits with 1 and says who holds it', { timeout: 30_000 }, async () => {
  await using world = await openWorld();
  const first = await startPayment(world.configPath);
  const second = launchPayment(world.configPath);
  expect(await second.exited).toBe(1);
  expect(second.log()).toContain(`is in use by process ${first.child.pid}`);
  await first.kill();
  const third = await startPayment(world.configPath);
  expect(await third.stop()).toBe(0);
});
