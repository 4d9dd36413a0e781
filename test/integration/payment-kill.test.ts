import { readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

import type { Hex } from '@cupel/protocol/hex';
import { expect, test } from 'vitest';

import { routerTwin } from './payment/router-twin.ts';
import { startTraffic } from './payment/traffic.ts';
import type { Acknowledged } from './payment/traffic.ts';
import { ADMIN_TOKEN, channelId, keyOf, launchPayment, NATS_PASSWORD, openWorld, startPayment } from './payment/world.ts';

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

/** Read from the file itself, as a stranger would. */
const readLedger = (path: string) => {
  const db = new DatabaseSync(path, { readOnly: true });
  const rows = db.prepare('SELECT request_id, price, charged, cumulative, envelope FROM charges ORDER BY sequence').all();
  const channel = db.prepare('SELECT charged, leased FROM channels WHERE channel_id = ?').get(channelId);
  const voucher = db.prepare('SELECT max_claimable FROM vouchers WHERE channel_id = ?').get(channelId);
  const leases = db.prepare("SELECT amount, charged FROM leases WHERE state = 'open'").all();
  db.close();
  const big = (value: unknown): bigint => BigInt(String(value));
  return {
    ceiling: big(voucher?.['max_claimable']),
    charged: big(channel?.['charged']),
    leased: big(channel?.['leased']),
    openLeases: leases.reduce((sum, l) => sum + big(l['amount']) - big(l['charged']), 0n),
    lastCumulative: big(rows.at(-1)?.['cumulative']),
    charges: new Map<Hex, Acknowledged>(
      rows.map((r) => [
        String(r['request_id']) as Hex,
        {
          price: big(r['charged']),
          cumulative: big(r['cumulative']),
          signature: String((JSON.parse(String(r['envelope'])) as { signature: string }).signature),
        },
      ]),
    ),
  };
};

test(
  'kill −9 at 25 random moments: no acknowledged voucher is lost, nothing is charged twice, the sums are equal',
  { timeout: 170_000 },
  async () => {
    const seed = Date.now() % 1_000_000;
    const random = randomOf(seed);
    await using world = await openWorld();
    let payment = await startPayment(world.configPath);
    const traffic = startTraffic(routerTwin(world.bus), random);

    let killedInWork = 0;
    for (let n = 0; n < KILLS; n++) {
      const before = traffic.record.acknowledged.size;
      await new Promise((resolve) => setTimeout(resolve, 30 + random() * 250));
      await payment.kill();
      if (traffic.record.acknowledged.size > before) killedInWork += 1;
      payment = await startPayment(world.configPath);
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { voucher, acknowledged, sent, surprises } = await traffic.stop();
    expect(await payment.stop()).toBe(0);

    const ledger = readLedger(world.ledgerPath);
    const sum = (amounts: Iterable<bigint>): bigint => [...amounts].reduce((a, b) => a + b, 0n);
    const total = sum(sent.values());
    // The seed stands in every comparison, so that a failure names it.
    expect({ seed, surprises }).toEqual({ seed, surprises: [] });
    expect({ seed, voucherKept: ledger.ceiling >= voucher }).toEqual({ seed, voucherKept: true });
    expect({ seed, requests: [...ledger.charges.keys()].toSorted() }).toEqual({ seed, requests: [...sent.keys()].toSorted() });
    expect({ seed, acknowledged }).toEqual({
      seed,
      acknowledged: new Map([...acknowledged.keys()].map((id) => [id, ledger.charges.get(id)])),
    });
    expect({ seed, prices: new Map([...ledger.charges].map(([id, c]) => [id, c.price])) }).toEqual({ seed, prices: sent });
    expect({
      seed,
      charged: ledger.charged,
      last: ledger.lastCumulative,
      rows: sum([...ledger.charges.values()].map((c) => c.price)),
    }).toEqual({
      seed,
      charged: total,
      last: total,
      rows: total,
    });
    expect({ seed, leased: ledger.leased }).toEqual({ seed, leased: ledger.openLeases });
    expect(acknowledged.size).toBeGreaterThan(100);
    expect(killedInWork).toBeGreaterThan(5);
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
  for (const { log } of [first, second, third]) {
    for (const secret of [ADMIN_TOKEN, NATS_PASSWORD, keyOf(3).slice(2), keyOf(9).slice(2)]) expect(log()).not.toContain(secret);
  }
});

test('without an admin token payment does not start, and says what to mount', { timeout: 30_000 }, async () => {
  await using world = await openWorld();
  const missing = { ...(JSON.parse(readFileSync(world.configPath, 'utf8')) as object), adminTokenFile: undefined };
  writeFileSync(world.configPath, JSON.stringify(missing));
  const unnamed = launchPayment(world.configPath);
  expect(await unnamed.exited).toBe(1);
  expect(unnamed.log()).toMatch(/adminTokenFile.*no default credential; mount the Secret/);
  writeFileSync(world.configPath, JSON.stringify({ ...missing, adminTokenFile: '/etc/cupel/secrets/admin/token' }));
  const unmounted = launchPayment(world.configPath);
  expect(await unmounted.exited).toBe(1);
  expect(unmounted.log()).toMatch(/secrets\/admin\/token.*mount the Secret/);
});
