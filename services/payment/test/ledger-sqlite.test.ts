import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { baseUnits, micro } from '@cupel/protocol/money';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { openLedger } from '../src/io/ledger-sqlite.ts';
import type { SqliteLedger } from '../src/io/ledger-sqlite.ts';
import { planOutgoing } from '../src/ledger/outgoing.ts';
import { decided } from '../src/ledger/rows.ts';
import type { OutgoingRow } from '../src/ledger/rows.ts';
import { descriptorOf, hex32, idOf, payer, providerPayout } from './arrange.ts';
import { id, opened, opening, step } from './ledger-steps.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupel-ledger-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (name = 'ledger.sqlite', synchronous: 'FULL' | 'OFF' = 'OFF'): SqliteLedger =>
  openLedger({
    path: join(folder, name),
    nowMs: 0,
    synchronous,
    onFatal: (error) => {
      throw error;
    },
  });

test('the file holds after a restart exactly what the machine in memory holds, for any run of commands in any batches', async () => {
  let n = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(step, fc.boolean()), { maxLength: 80, size: 'max' }), async (steps) => {
      const name = `ledger-${(n += 1)}.sqlite`;
      const memory = opened();
      const ledger = open(name);
      await Promise.all(opening.map((run) => ledger.submit(run)));
      const waiting: Promise<unknown>[] = [];
      for (const [{ run }, pause] of steps) {
        const inMemory = memory.run(run);
        waiting.push(ledger.submit(run).then((result) => expect(result.ok).toBe(inMemory.ok)));
        if (pause) await Promise.all(waiting);
      }
      await Promise.all(waiting);
      ledger[Symbol.dispose]();
      const again = open(name);
      expect(new Map([...again.channels()].map((c) => [c.channelId, c]))).toEqual(memory.channels);
      for (const lease of memory.leases.values()) expect(again.view.lease(lease.leaseId)).toEqual(lease);
      for (const charge of memory.charges.values()) expect(again.view.charge(charge.requestId)).toEqual(charge);
      for (const credit of memory.credits.values()) expect(again.view.credit(credit.receiptDigest)).toEqual(credit);
      expect(again.records.charges(0, 1_000)).toHaveLength(memory.charges.size);
      expect(again.records.unpublished(1_000)).toHaveLength(memory.charges.size);
      again[Symbol.dispose]();
    }),
    { numRuns: 60 },
  );
});

const limits = { maxPrepaid: baseUnits(1n), headroom: baseUnits(0n) };
const row = (): OutgoingRow => {
  const descriptor = descriptorOf(payer, providerPayout);
  return {
    channelId: idOf(descriptor),
    payee: providerPayout,
    owner: hex32(8),
    descriptor,
    status: 'opening',
    deposit: baseUnits(0n),
    settled: baseUnits(2n),
    plannedDeposit: baseUnits((1n << 127n) + 1n),
    topUps: 0,
    signedMax: baseUnits(3n),
    receipted: micro((1n << 100n) + 7n),
    lastCumulative: micro(0n),
    session: {
      sealedKey: Uint8Array.of(1, 2, 3),
      keyHash: hex32(1),
      maxUnpaid: baseUnits(0n),
      notAfter: 5n,
      signature: `0x${'55'.repeat(64)}`,
    },
    createdAtMs: 9,
    usedAtMs: 10,
  };
};

test('own channels, consumers, settlements, claims and marks survive a restart', async () => {
  const consumer = { consumerId: 'c', name: 'n', apiKeySha256: 'ab'.repeat(32), createdAtMs: 1 };
  const batch = { payee: providerPayout, token: hex32(2), rows: [] };
  const settlement = { id: 's', batch, state: 'planned', hash: null, message: null, plannedAtMs: 1, endedAtMs: null } as const;
  const claim = {
    claimId: hex32(3),
    versionId: hex32(4),
    root: hex32(5),
    count: 2,
    maxPrice: micro(6n),
    state: 'planned',
    tx: null,
    plannedAtMs: 1,
  } as const;
  const ledger = open();
  await Promise.all([
    ledger.submit((view) => planOutgoing(view, { row: row(), limits })),
    ledger.submit(() => decided(undefined, { table: 'consumers', row: consumer })),
    ledger.write(() => {
      ledger.records.putSettlement(settlement);
      ledger.records.putClaim(claim, []);
      ledger.records.putMark('m', 7);
    }),
  ]);
  ledger[Symbol.dispose]();
  const again = open();
  expect([...again.outgoing()].map((o) => ({ ...o, session: { ...o.session, sealedKey: Uint8Array.from(o.session.sealedKey) } }))).toEqual([
    row(),
  ]);
  expect(again.records.consumerOf(consumer.apiKeySha256)).toEqual(consumer);
  expect(again.records.settlements()).toEqual([settlement]);
  expect(again.records.claims('planned')).toEqual([claim]);
  expect(again.records.mark('m')).toBe(7);
  again[Symbol.dispose]();
});

test('a file of version 1 is taken over: its own channels keep what they had', async () => {
  const ledger = open();
  const before = { ...row(), owner: null, settled: baseUnits(0n) };
  await ledger.submit((view) => planOutgoing(view, { row: before, limits }));
  ledger[Symbol.dispose]();
  const db = new DatabaseSync(join(folder, 'ledger.sqlite'));
  for (const column of ['owner', 'settled', 'used_at']) db.exec(`ALTER TABLE outgoing DROP COLUMN ${column}`);
  db.exec('PRAGMA user_version = 1');
  db.close();
  const startedAtMs = Date.now();
  const again = open();
  const { usedAtMs, session, ...rest } = [...again.outgoing()][0]!;
  const { usedAtMs: _, session: sessionBefore, ...restBefore } = before;
  expect(rest).toEqual(restBefore);
  expect(session.keyHash).toBe(sessionBefore.keyHash);
  // Not idle since ever, only because nobody had written it down.
  expect(usedAtMs).toBeGreaterThan(startedAtMs - 2_000);
  again[Symbol.dispose]();
});

test('a second holder is told who has the ledger, and the ledger is free after the first has gone', () => {
  const first = open();
  expect(() => open()).toThrow(new RegExp(`in use by process ${process.pid} on .*stop that process first`));
  first[Symbol.dispose]();
  open()[Symbol.dispose]();
});

test('readers from outside are not locked out', async () => {
  const ledger = open('ledger.sqlite', 'FULL');
  await Promise.all(opening.map((run) => ledger.submit(run)));
  const reader = new DatabaseSync(join(folder, 'ledger.sqlite'), { readOnly: true });
  expect(reader.prepare('SELECT count(*) AS n FROM channels').get()).toMatchObject({ n: 2 });
  reader.close();
  ledger[Symbol.dispose]();
});

test('a file of a later version and a file that is no database are refused with a remedy', () => {
  open()[Symbol.dispose]();
  const db = new DatabaseSync(join(folder, 'ledger.sqlite'));
  db.exec('PRAGMA user_version = 99');
  db.close();
  expect(() => open()).toThrow(/schema version 99, this program writes 2; use the program that wrote it/);
  writeFileSync(join(folder, 'text.sqlite'), 'this is no database, but long enough to look like one to nobody'.repeat(20));
  expect(() => open('text.sqlite')).toThrow(/not a database/);
});

test('a command that throws fails alone: its batch is written', async () => {
  const ledger = open();
  const results = await Promise.allSettled([
    ledger.submit(opening[0]!),
    ledger.submit(() => {
      throw new RangeError('a bug');
    }),
    ledger.submit(opening[1]!),
  ]);
  expect(results.map((r) => r.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(ledger.view.channel(id(1, 0))?.ceiling).toBe(10n);
  ledger[Symbol.dispose]();
});

test('a failed write is fatal: nothing of its batch is acknowledged, and nothing more is taken', async () => {
  const fatal: unknown[] = [];
  const ledger = openLedger({ path: join(folder, 'ledger.sqlite'), nowMs: 0, synchronous: 'OFF', onFatal: (error) => fatal.push(error) });
  const consumer = { consumerId: 'c', name: 'n', apiKeySha256: 'ab'.repeat(32), createdAtMs: 1 };
  const twice = () => ledger.submit(() => decided(undefined, { table: 'consumers', row: consumer }));
  const results = await Promise.allSettled([ledger.submit(opening[0]!), twice(), twice()]);
  expect(results.map((r) => r.status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(fatal).toHaveLength(1);
  await expect(ledger.submit(opening[0]!)).rejects.toThrow(/failed|UNIQUE/);
  expect(ledger.status()).toContain('must start again');
  ledger[Symbol.dispose]();
  const again = open();
  expect([...again.channels()]).toEqual([]);
  again[Symbol.dispose]();
});
