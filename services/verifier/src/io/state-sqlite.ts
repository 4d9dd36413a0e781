import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { SQLOutputValue } from 'node:sqlite';

import type { Hex } from '@cupel/protocol/hex';
import { receiptEvent } from '@cupel/protocol/wire/bus';
import { encodeJson } from '@cupel/protocol/wire/scalars';

import type { Dispute } from '../dispute/decide.ts';
import { START } from '../judge/sequence.ts';
import type { Tally } from '../judge/reputation.ts';
import type { Held } from '../sample/epoch.ts';
import type { Epoch, VerifierState } from '../state.ts';
import { lockState, prepareSchema } from './state-schema.ts';
import type { StateIdentity } from './state-schema.ts';

type Row = Record<string, SQLOutputValue>;

/**
 * The state in one SQLite file (WAL, synchronous=FULL). What requests and answers say never goes in. One process at a time. Throws StateError
 * for the file of another verifier or chain.
 */
export const openState = ({ path, ...identity }: StateIdentity & { readonly path: string }): VerifierState & Disposable => {
  mkdirSync(dirname(path), { recursive: true });
  const lock = new DatabaseSync(`${path}.lock`);
  const db = new DatabaseSync(path);
  try {
    lockState(lock, path);
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 2000; PRAGMA foreign_keys = ON');
    prepareSchema(db, path, identity);
  } catch (error) {
    db.close();
    lock.close();
    throw error;
  }
  const transaction = <T>(work: () => T): T => {
    db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      db.exec('COMMIT');
      return result;
    } catch (error) {
      db.exec('ROLLBACK');
      throw error;
    }
  };
  const sql = statements(db);

  return {
    hold(event, nowMs) {
      const { receiptDigest, modelId, heldAtMs, envelope } = event;
      return sql.hold.run(receiptDigest, envelope.receipt.requestId, modelId, heldAtMs, nowMs, encodeJson(event)).changes > 0;
    },
    event(digest) {
      const row = sql.event.get(digest);
      return row && row['event'] !== null ? receiptEvent.parse(JSON.parse(text(row, 'event'))) : undefined;
    },
    forgetBefore: (ms) => Number(sql.forgetOld.run(ms).changes),
    waiting() {
      const row = sql.waiting.get() ?? {};
      return { receipts: Number(row['n']), oldestMs: Number(row['oldest'] ?? 0) };
    },
    heldIn: (epoch) => (epoch === undefined ? sql.free.all() : sql.members.all(epoch)).map(heldOf),
    lastEpoch: () => Number(sql.lastEpoch.get()?.['n']),
    closeEpoch(epoch, digests, nowMs) {
      transaction(() => {
        sql.close.run(epoch.number, epoch.state, epoch.seed, epoch.rate, epoch.beaconDelayBlocks, epoch.commit, epoch.setRoot, nowMs);
        for (const digest of digests) {
          if (sql.assign.run(epoch.number, digest).changes === 0)
            throw new Error(`receipt ${digest} is not free for epoch ${epoch.number}`);
        }
      });
    },
    openEpochs: () => sql.openEpochs.all().map(epochOf),
    setCommitment(epoch, commitment) {
      sql.commit.run(commitment.tx, commitment.block, epoch);
    },
    setDraw(epoch, beacon, drawn) {
      transaction(() => {
        sql.beacon.run(beacon.block, beacon.hash, epoch);
        sql.undraw.run(epoch);
        for (const digest of drawn) sql.draw.run(digest, epoch);
      });
    },
    setFinal: (epoch) => void sql.final.run(epoch),
    pendingVerdicts: (limit) => sql.pending.all(limit).map((row) => ({ digest: hex(row, 'digest'), modelId: hex(row, 'model_id') })),
    putVerdict: ({ digest, modelId, verdict, reason, atMs, sequence, accuse }) =>
      transaction(() => {
        if (sql.verdict.run(digest, modelId, verdict, reason, atMs).changes === 0) return false;
        sql.judge.run(digest);
        if (sequence) sql.putSequence.run(modelId, sequence.logRatio, sequence.tokens, sequence.differences);
        if (accuse) sql.accuse.run(digest, atMs);
        return true;
      }),
    sequence(modelId) {
      const row = sql.sequence.get(modelId);
      return row ? { logRatio: Number(row['log_ratio']), tokens: Number(row['tokens']), differences: Number(row['differences']) } : START;
    },
    tallies() {
      const tallies = new Map<Hex, Tally>();
      for (const row of sql.tallies.all()) {
        const modelId = hex(row, 'model_id');
        const before = tallies.get(modelId) ?? { pass: 0, lie: 0, suspect: 0, unverifiable: 0 };
        tallies.set(modelId, { ...before, [text(row, 'verdict')]: Number(row['n']) });
      }
      return [...tallies].map(([modelId, tally]) => ({ modelId, tally }));
    },
    dispute(digest) {
      const row = sql.dispute.get(digest);
      return row && disputeOf(row);
    },
    dueDisputes: () => sql.due.all().map(disputeOf),
    putConsent: (digest, consent) => void sql.consent.run(consent?.notAfter.toString() ?? null, consent?.signature ?? null, digest),
    putRuling: (digest, state, spent, message, tx, nowMs) =>
      void sql.ruling.run(state, spent ? 1 : 0, message, tx ?? null, state === 'due' ? null : nowMs, digest),
    models: () => new Set(sql.models.all().map((row) => hex(row, 'model_id'))),
    defended: (digest) => sql.defended.get(digest) !== undefined,
    putDefence: (digest, modelId, tx, { finding, reason }, nowMs) => void sql.defend.run(digest, modelId, tx, finding, reason, nowMs),
    [Symbol.dispose]() {
      db.close();
      lock.close();
    },
  };
};

const statements = (db: DatabaseSync) => ({
  hold: db.prepare(
    'INSERT INTO receipts (digest, request_id, model_id, held_at, arrived_at, event) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
  ),
  event: db.prepare('SELECT event FROM receipts WHERE digest = ?'),
  // A receipt that is still to be judged or disputed is kept, however old it is.
  forgetOld: db.prepare(`
    UPDATE receipts SET event = NULL WHERE held_at < ? AND event IS NOT NULL
      AND (drawn = 0 OR judged = 1) AND digest NOT IN (SELECT digest FROM disputes WHERE state = 'due')
  `),
  waiting: db.prepare('SELECT count(*) AS n, min(arrived_at) AS oldest FROM receipts WHERE epoch IS NULL'),
  free: db.prepare('SELECT digest, held_at FROM receipts WHERE epoch IS NULL ORDER BY held_at, digest'),
  members: db.prepare('SELECT digest, held_at FROM receipts WHERE epoch = ? ORDER BY held_at, digest'),
  lastEpoch: db.prepare('SELECT coalesce(max(number), 0) AS n FROM epochs'),
  close: db.prepare(
    'INSERT INTO epochs (number, state, seed, rate, beacon_delay, commitment, set_root, closed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  ),
  assign: db.prepare('UPDATE receipts SET epoch = ? WHERE digest = ? AND epoch IS NULL'),
  openEpochs: db.prepare("SELECT * FROM epochs WHERE state <> 'final' ORDER BY number"),
  commit: db.prepare(
    "UPDATE epochs SET state = 'committed', commit_tx = ?, commit_block = ?, beacon_block = NULL, beacon_hash = NULL WHERE number = ? AND state <> 'final'",
  ),
  beacon: db.prepare("UPDATE epochs SET state = 'drawn', beacon_block = ?, beacon_hash = ? WHERE number = ? AND state <> 'final'"),
  undraw: db.prepare('UPDATE receipts SET drawn = 0 WHERE epoch = ?'),
  draw: db.prepare('UPDATE receipts SET drawn = 1 WHERE digest = ? AND epoch = ?'),
  final: db.prepare("UPDATE epochs SET state = 'final' WHERE number = ? AND state = 'drawn'"),
  pending: db.prepare('SELECT digest, model_id FROM receipts WHERE drawn = 1 AND judged = 0 ORDER BY epoch, held_at LIMIT ?'),
  verdict: db.prepare('INSERT INTO verdicts (digest, model_id, verdict, reason, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING'),
  judge: db.prepare('UPDATE receipts SET judged = 1 WHERE digest = ?'),
  sequence: db.prepare('SELECT log_ratio, tokens, differences FROM sequences WHERE model_id = ?'),
  putSequence: db.prepare(
    `INSERT INTO sequences (model_id, log_ratio, tokens, differences) VALUES (?, ?, ?, ?)
     ON CONFLICT (model_id) DO UPDATE SET log_ratio = excluded.log_ratio, tokens = excluded.tokens, differences = excluded.differences`,
  ),
  tallies: db.prepare('SELECT model_id, verdict, count(*) AS n FROM verdicts GROUP BY model_id, verdict'),
  accuse: db.prepare("INSERT INTO disputes (digest, state, opened_at) VALUES (?, 'due', ?) ON CONFLICT DO NOTHING"),
  dispute: db.prepare('SELECT * FROM disputes WHERE digest = ?'),
  due: db.prepare("SELECT * FROM disputes WHERE state = 'due' ORDER BY opened_at, digest"),
  consent: db.prepare('UPDATE disputes SET consent_not_after = ?, consent_signature = ? WHERE digest = ?'),
  ruling: db.prepare('UPDATE disputes SET state = ?, failures = failures + ?, message = ?, tx = ?, ruled_at = ? WHERE digest = ?'),
  models: db.prepare('SELECT DISTINCT model_id FROM receipts'),
  defended: db.prepare('SELECT 1 FROM defences WHERE digest = ?'),
  defend: db.prepare('INSERT INTO defences (digest, model_id, tx, finding, reason, at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING'),
});

/** What we wrote ourselves, in a file that is ours alone. */
const text = (row: Row, name: string): string => String(row[name]);
const hex = (row: Row, name: string): Hex => text(row, name) as Hex;

const heldOf = (row: Row): Held => ({ digest: hex(row, 'digest'), heldAtMs: Number(row['held_at']) });

const epochOf = (row: Row): Epoch => ({
  number: Number(row['number']),
  state: text(row, 'state') as Epoch['state'],
  seed: hex(row, 'seed'),
  rate: Number(row['rate']),
  beaconDelayBlocks: Number(row['beacon_delay']),
  commit: hex(row, 'commitment'),
  setRoot: hex(row, 'set_root'),
  commitment: row['commit_tx'] === null ? undefined : { tx: hex(row, 'commit_tx'), block: Number(row['commit_block']) },
  beacon: row['beacon_hash'] === null ? undefined : { block: Number(row['beacon_block']), hash: hex(row, 'beacon_hash') },
});

const disputeOf = (row: Row): Dispute => ({
  digest: hex(row, 'digest'),
  state: text(row, 'state') as Dispute['state'],
  consent:
    row['consent_signature'] === null
      ? undefined
      : { notAfter: BigInt(text(row, 'consent_not_after')), signature: hex(row, 'consent_signature') },
  failures: Number(row['failures']),
});
