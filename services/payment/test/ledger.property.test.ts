import type { Hex } from '@cupel/protocol/hex';
import { micro, MICRO_PER_BASE } from '@cupel/protocol/money';
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { chargeRequest } from '../src/ledger/charge.ts';
import { grantLease } from '../src/ledger/lease.ts';
import type { MemoryLedger } from '../src/ledger/memory.ts';
import { envelope, id, LIMIT, microSum, opened, step } from './ledger-steps.ts';

const sum = (amounts: Iterable<bigint>): bigint => [...amounts].reduce((a, b) => a + b, 0n);

const snapshot = (ledger: MemoryLedger): unknown => [[...ledger.channels], [...ledger.leases], [...ledger.charges], [...ledger.credits]];

const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);

const checkSums = (ledger: MemoryLedger): void => {
  for (const channel of ledger.channels.values()) {
    const charges = [...ledger.charges.values()].filter((c) => c.channelId === channel.channelId);
    const credits = [...ledger.credits.values()].filter((c) => c.channelId === channel.channelId);
    const open = [...ledger.leases.values()].filter((l) => l.channelId === channel.channelId && l.state === 'open');
    expect(channel.charged).toBe(sum(charges.map((c) => c.charged)));
    expect(channel.credited).toBe(sum(credits.map((c) => c.amount)));
    expect(channel.leased).toBe(sum(open.map((l) => l.amount - l.charged)));
    expect(channel.charged - channel.credited + channel.leased <= channel.ceiling * MICRO_PER_BASE).toBe(true);
    expect(channel.requests).toBe(charges.length);
    expect(charges.every((c) => c.charged <= c.price && c.envelope.receipt.price === c.charged)).toBe(true);
  }
};

test('after every command the sums agree, no channel is charged or reserved beyond its ceiling, and no request is charged twice', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const ledger = opened();
      const firstCharge = new Map<Hex, bigint>();
      for (const { run } of steps) {
        ledger.run(run);
        checkSums(ledger);
        for (const [request, row] of ledger.charges) {
          expect(row.charged).toBe(firstCharge.get(request) ?? row.charged);
          firstCharge.set(request, row.charged);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('running any prefix again gives the same state, and a refusal changes nothing', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), fc.nat(60), (steps, length) => {
      const prefix = steps.slice(0, length);
      const [first, second] = [opened(), opened()];
      for (const { run } of prefix) {
        const before = snapshot(first);
        const { ok } = first.run(run);
        expect(ok || JSON.stringify(snapshot(first), plain) === JSON.stringify(before, plain)).toBe(true);
        second.run(run);
      }
      expect(snapshot(first)).toEqual(snapshot(second));
    }),
    { numRuns: 100 },
  );
});

test('while the head is stale a channel is charged and leased at most the exposure limit', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ minimum: microSum, wanted: microSum, price: microSum }), { maxLength: 40, size: 'max' }), (rounds) => {
      const ledger = opened();
      const stale = { stale: true, limit: LIMIT };
      rounds.forEach(({ minimum, wanted, price }, n) => {
        ledger.run((view) =>
          grantLease(view, {
            leaseId: `l${n}`,
            channelId: id(1, 0),
            routerId: 'r',
            minimum: micro(minimum),
            wanted: micro(wanted),
            expiresAtMs: 100,
            exposure: stale,
          }),
        );
        ledger.run((view) =>
          chargeRequest(view, {
            kind: 'draft',
            requestId: id(2, n),
            leaseId: `l${n}`,
            price: micro(price),
            modelId: id(4, 0),
            publicName: 'm',
            fingerprint: '',
            payload: null,
            exposure: stale,
            nowMs: 1,
            channelId: id(1, 0),
            versionId: id(5, 0),
            seal: (p, cumulative) => ({ envelope: envelope(id(2, n), p, cumulative), receiptDigest: id(3, n) }),
          }),
        );
      });
      const channel = ledger.channels.get(id(1, 0))!;
      expect(channel.charged + channel.leased <= LIMIT * MICRO_PER_BASE).toBe(true);
    }),
    { numRuns: 200 },
  );
});
