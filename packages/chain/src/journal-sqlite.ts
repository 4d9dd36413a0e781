import { DatabaseSync } from 'node:sqlite';

import type { Hex } from '@cupel/protocol/hex';

import type { Attempt, EntryState, JournalEntry, TransactionJournal } from './journal.ts';

const SCHEMA_VERSION = 1;

export interface SqliteJournal extends TransactionJournal, Disposable {}

/**
 * A journal in one SQLite file (WAL, synchronous=FULL: a put is on disk when it returns). One process at a time. Throws when the file is of a
 * later schema.
 */
export const openSqliteJournal = (path: string): SqliteJournal => {
  const db = new DatabaseSync(path);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 2000');
  const found = Number(db.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
  if (found > SCHEMA_VERSION) {
    db.close();
    throw new Error(`${path} has schema ${found}, this program knows ${SCHEMA_VERSION}; run the newer program or take another file`);
  }
  db.exec(`
    CREATE TABLE IF NOT EXISTS entries (
      lane TEXT NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, sequence INTEGER NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (lane, key)
    ) STRICT;
    CREATE INDEX IF NOT EXISTS entries_open ON entries (lane, sequence) WHERE state <> 'final';
    PRAGMA user_version = ${SCHEMA_VERSION}
  `);
  const get = db.prepare('SELECT entry FROM entries WHERE lane = ? AND key = ?');
  const open = db.prepare("SELECT entry FROM entries WHERE lane = ? AND state <> 'final' ORDER BY sequence");
  const put = db.prepare(`
    INSERT INTO entries (lane, key, state, sequence, entry)
    VALUES (:lane, :key, :state, (SELECT coalesce(max(sequence), 0) + 1 FROM entries WHERE lane = :lane), :entry)
    ON CONFLICT (lane, key) DO UPDATE SET state = excluded.state, entry = excluded.entry
  `);
  const remove = db.prepare('DELETE FROM entries WHERE lane = ? AND key = ?');
  return {
    get(lane, key) {
      const row = get.get(lane, key);
      return row ? decode(String(row['entry'])) : undefined;
    },
    open: (lane) => open.all(lane).map((row) => decode(String(row['entry']))),
    put(entry) {
      put.run({ lane: entry.lane, key: entry.key, state: entry.state, entry: encode(entry) });
    },
    remove(lane, key) {
      remove.run(lane, key);
    },
    [Symbol.dispose]() {
      db.close();
    },
  };
};

const encode = (entry: JournalEntry): string => JSON.stringify(entry, (_k, v: unknown) => (typeof v === 'bigint' ? v.toString() : v));

interface StoredAttempt extends Omit<Attempt, 'maxFeePerGas' | 'maxPriorityFeePerGas'> {
  readonly maxFeePerGas: string;
  readonly maxPriorityFeePerGas: string;
}

interface StoredEntry extends Omit<JournalEntry, 'value' | 'gas' | 'attempts'> {
  readonly key: string;
  readonly state: EntryState;
  readonly to: Hex;
  readonly value: string;
  readonly gas: string;
  readonly attempts: readonly StoredAttempt[];
}

/** What we wrote ourselves: the file is no input of strangers. */
const decode = (text: string): JournalEntry => {
  const stored = JSON.parse(text) as StoredEntry;
  return {
    ...stored,
    value: BigInt(stored.value),
    gas: BigInt(stored.gas),
    attempts: stored.attempts.map((a) => ({
      ...a,
      maxFeePerGas: BigInt(a.maxFeePerGas),
      maxPriorityFeePerGas: BigInt(a.maxPriorityFeePerGas),
    })),
  };
};
