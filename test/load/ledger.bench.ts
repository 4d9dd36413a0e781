/**
 * Charges per second of the ledger, against a bare node:sqlite loop that writes rows of the same size under the same durability (WAL,
 * synchronous=FULL, one commit per 64) in the same run. Interleaved rounds, medians.
 *
 *   node test/load/ledger.bench.ts [seconds per round, default 1] [rounds, default 5]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { openLedger } from '@cupel/payment/io/ledger-sqlite';
import { acceptVoucher, registerChannel } from '@cupel/payment/ledger/channel';
import { chargeRequest } from '@cupel/payment/ledger/charge';
import { grantLease } from '@cupel/payment/ledger/lease';
import type { Hex } from '@cupel/protocol/hex';
import { baseUnits, micro } from '@cupel/protocol/money';
import type { ReceiptEnvelope } from '@cupel/protocol/wire/receipt';
import { encodeJson } from '@cupel/protocol/wire/scalars';

const IN_FLIGHT = 64;
const [seconds = 1, rounds = 5] = process.argv.slice(2).map(Number);
const hex = (n: number | bigint): Hex => `0x${n.toString(16).padStart(64, '0')}`;
const address: Hex = `0x${'11'.repeat(20)}`;
const envelopeOf = (requestId: Hex, price: bigint, cumulative: bigint): ReceiptEnvelope => ({
  version: 1,
  receipt: {
    versionId: hex(1),
    requestId,
    channelId: hex(2),
    inputHash: hex(3),
    outputHash: hex(4),
    paramsHash: hex(5),
    inputUnits: 100n,
    outputUnits: 20n,
    price,
    cumulative,
    beneficiary: address,
    issuedAt: 1n,
    outcome: 0n,
  },
  signature: `0x${'22'.repeat(64)}`,
  grant: { versionId: hex(1), signer: address, notAfter: 9n, signature: `0x${'33'.repeat(64)}` },
  params: { seed: 1 },
});

interface Measured {
  readonly perSecond: number;
  readonly p99Ms: number;
}

const p99 = (times: number[]): number => times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0;
const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

let request = 0;

/** IN_FLIGHT askers, each with one charge under way: what the bus brings. */
const ledgerRound = async (folder: string): Promise<Measured> => {
  const ledger = openLedger({
    path: join(folder, `ledger-${request}.sqlite`),
    nowMs: 0,
    onFatal: (error) => {
      throw error;
    },
  });
  const descriptor = { payer: address, payee: address, token: address, signerKind: 0, signer: address, withdrawDelay: 1, salt: hex(1) };
  const facts = { deposit: baseUnits(10n ** 18n), settled: baseUnits(0n), closeAt: 0, status: 'open' } as const;
  const exposure = { stale: false, limit: baseUnits(0n) };
  await ledger.submit((view) => registerChannel(view, { channelId: hex(2), descriptor, consumerId: null, facts, nowMs: 0 }));
  await ledger.submit((view) =>
    acceptVoucher(view, { channelId: hex(2), maxClaimable: baseUnits(10n ** 18n), signature: `0x${'44'.repeat(64)}`, consumerId: null }),
  );
  const wanted = micro(10n ** 20n);
  await ledger.submit((view) =>
    grantLease(view, { leaseId: 'lease', channelId: hex(2), routerId: 'r', minimum: wanted, wanted, expiresAtMs: 9e15, exposure }),
  );
  const times: number[] = [];
  const start = performance.now();
  const end = start + seconds * 1000;
  const asker = async (): Promise<void> => {
    while (performance.now() < end) {
      const requestId = hex((request += 1));
      const asked = performance.now();
      await ledger.submit((view) =>
        chargeRequest(view, {
          kind: 'draft',
          requestId,
          leaseId: 'lease',
          price: micro(1000n),
          modelId: hex(6),
          publicName: 'model',
          fingerprint: requestId,
          payload: null,
          exposure,
          nowMs: 1,
          channelId: hex(2),
          versionId: hex(1),
          seal: (price, cumulative) => ({ envelope: envelopeOf(requestId, price, cumulative), receiptDigest: requestId }),
        }),
      );
      times.push(performance.now() - asked);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, asker));
  const perSecond = (times.length * 1000) / (performance.now() - start);
  ledger[Symbol.dispose]();
  return { perSecond, p99Ms: p99(times) };
};

/** The least that could be called durable: one insert per row, no lookups, no indexes but the key. */
const bareRound = (folder: string): Measured => {
  const db = new DatabaseSync(join(folder, `bare-${request}.sqlite`));
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE rows (id TEXT PRIMARY KEY, envelope TEXT NOT NULL) STRICT');
  const insert = db.prepare('INSERT INTO rows VALUES (?, ?)');
  const times: number[] = [];
  const start = performance.now();
  const end = start + seconds * 1000;
  while (performance.now() < end) {
    const asked = performance.now();
    db.exec('BEGIN IMMEDIATE');
    for (let n = 0; n < IN_FLIGHT; n++) {
      const requestId = hex((request += 1));
      insert.run(requestId, encodeJson(envelopeOf(requestId, 1000n, BigInt(request))));
    }
    db.exec('COMMIT');
    for (let n = 0; n < IN_FLIGHT; n++) times.push(performance.now() - asked);
  }
  const perSecond = (times.length * 1000) / (performance.now() - start);
  db.close();
  return { perSecond, p99Ms: p99(times) };
};

const folder = mkdtempSync(join(tmpdir(), 'cupel-bench-'));
try {
  const ledger: Measured[] = [];
  const bare: Measured[] = [];
  for (let round = 0; round < rounds; round++) {
    ledger.push(await ledgerRound(folder));
    bare.push(bareRound(folder));
  }
  const summary = (all: readonly Measured[]) => ({
    rowsPerSecond: Math.round(median(all.map((m) => m.perSecond))),
    p99Ms: Number(median(all.map((m) => m.p99Ms)).toFixed(2)),
  });
  const [ours, theirs] = [summary(ledger), summary(bare)];
  process.stdout.write(
    `${JSON.stringify({ inFlight: IN_FLIGHT, rounds, seconds, ledger: ours, bare: theirs, ratio: Number((ours.rowsPerSecond / theirs.rowsPerSecond).toFixed(2)) }, undefined, 2)}\n`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
