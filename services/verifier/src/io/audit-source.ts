import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';

import { auditRecord } from '../sample/audit.ts';
import type { AuditRecord } from '../sample/audit.ts';
import { StateError } from './state-schema.ts';

/** Reads the file of a verifier, running or not, or what `export` wrote. Throws {@link StateError}. */
export const readAudit = (path: string): AuditRecord => {
  if (!existsSync(path)) throw new StateError(`there is no file ${path}; name the verifier's statePath, or an exported JSON`);
  const parsed = auditRecord.safeParse(isSqlite(path) ? fromSqlite(path) : fromJson(path));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new StateError(`${path} is no record of a verifier: ${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? 'invalid'}`);
};

const isSqlite = (path: string): boolean => {
  const head = Buffer.alloc(15);
  const file = openSync(path, 'r');
  readSync(file, head, 0, head.length, 0);
  closeSync(file);
  return head.toString('latin1') === 'SQLite format 3';
};

const fromJson = (path: string): unknown => {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new StateError(`${path} is neither SQLite nor JSON`, { cause });
  }
};

/** A file on a read-only volume whose verifier is gone has no write-ahead log that could be opened: then it is read as it stands. */
const openReadOnly = (path: string): DatabaseSync => {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    db.prepare('SELECT 1 FROM meta').get();
    return db;
  } catch (error) {
    db.close();
    if (existsSync(`${path}-wal`)) throw error;
    return new DatabaseSync(new URL(`${pathToFileURL(path).href}?immutable=1`), { readOnly: true });
  }
};

const DISPUTE_STATES: Readonly<Record<string, string>> = { due: 'open' };

const fromSqlite = (path: string): unknown => {
  const db = openReadOnly(path);
  try {
    db.exec('BEGIN');
    const meta = new Map(
      db
        .prepare('SELECT name, value FROM meta')
        .all()
        .map((row) => [row['name'], row['value']]),
    );
    const receiptsOf = db.prepare(
      'SELECT r.digest, r.held_at, r.drawn, v.verdict FROM receipts r LEFT JOIN verdicts v USING (digest) WHERE r.epoch = ? ORDER BY r.held_at, r.digest',
    );
    const epochs = db.prepare("SELECT * FROM epochs WHERE state IN ('drawn', 'final') ORDER BY number").all();
    const undrawn = db
      .prepare(
        "SELECT count(*) AS n FROM receipts WHERE epoch IS NULL OR epoch NOT IN (SELECT number FROM epochs WHERE state IN ('drawn', 'final'))",
      )
      .get();
    return {
      version: 1,
      chainId: Number(meta.get('chain_id')),
      verifier: meta.get('verifier'),
      epochs: epochs.map((row) => ({
        number: row['number'],
        seed: row['seed'],
        rate: row['rate'],
        beaconDelayBlocks: row['beacon_delay'],
        commit: row['commitment'],
        setRoot: row['set_root'],
        commitTx: row['commit_tx'],
        commitBlock: row['commit_block'],
        beaconBlock: row['beacon_block'],
        beaconHash: row['beacon_hash'],
        receipts: receiptsOf.all(row['number'] ?? 0).map((r) => ({
          digest: r['digest'],
          heldAtMs: r['held_at'],
          drawn: r['drawn'] === 1,
          ...(r['verdict'] !== null && { verdict: r['verdict'] }),
        })),
      })),
      undrawn: undrawn?.['n'],
      disputes: db
        .prepare('SELECT digest, state FROM disputes ORDER BY opened_at')
        .all()
        .map((row) => ({ digest: row['digest'], state: DISPUTE_STATES[String(row['state'])] ?? row['state'] })),
    };
  } finally {
    db.close();
  }
};
