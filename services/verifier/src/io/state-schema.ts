import type { DatabaseSync } from 'node:sqlite';

const SCHEMA_VERSION = 1;

/** The file is no state of this verifier. */
export class StateError extends Error {
  override readonly name = 'StateError';
}

export interface StateIdentity {
  readonly chainId: number;
  readonly verifier: string;
}

/** Makes the tables of a new file. Throws {@link StateError} when the file is of a later schema, or of another verifier or chain. */
export const prepareSchema = (db: DatabaseSync, path: string, identity: StateIdentity): void => {
  const found = Number(db.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
  if (found > SCHEMA_VERSION) {
    throw new StateError(
      `${path} has schema ${found}, this program knows ${SCHEMA_VERSION}; run the newer program or take another statePath`,
    );
  }
  db.exec(`
    CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS epochs (
      number INTEGER PRIMARY KEY, state TEXT NOT NULL, seed TEXT NOT NULL, rate REAL NOT NULL, beacon_delay INTEGER NOT NULL,
      commitment TEXT NOT NULL, set_root TEXT NOT NULL, commit_tx TEXT, commit_block INTEGER, beacon_block INTEGER, beacon_hash TEXT,
      closed_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS epochs_open ON epochs (number) WHERE state <> 'final';
    CREATE TABLE IF NOT EXISTS receipts (
      digest TEXT PRIMARY KEY, request_id TEXT NOT NULL UNIQUE, model_id TEXT NOT NULL, held_at INTEGER NOT NULL, arrived_at INTEGER NOT NULL,
      event TEXT, epoch INTEGER REFERENCES epochs (number), drawn INTEGER NOT NULL DEFAULT 0, judged INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX IF NOT EXISTS receipts_waiting ON receipts (arrived_at) WHERE epoch IS NULL;
    CREATE INDEX IF NOT EXISTS receipts_epoch ON receipts (epoch);
    CREATE INDEX IF NOT EXISTS receipts_model ON receipts (model_id);
    CREATE INDEX IF NOT EXISTS receipts_pending ON receipts (epoch, held_at) WHERE drawn = 1 AND judged = 0;
    CREATE TABLE IF NOT EXISTS verdicts (
      digest TEXT PRIMARY KEY REFERENCES receipts (digest), model_id TEXT NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS verdicts_model ON verdicts (model_id, verdict);
    CREATE TABLE IF NOT EXISTS sequences (
      model_id TEXT PRIMARY KEY, log_ratio REAL NOT NULL, tokens INTEGER NOT NULL, differences INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS disputes (
      digest TEXT PRIMARY KEY REFERENCES receipts (digest), state TEXT NOT NULL, consent_not_after TEXT, consent_signature TEXT,
      failures INTEGER NOT NULL DEFAULT 0, message TEXT, tx TEXT, opened_at INTEGER NOT NULL, ruled_at INTEGER
    ) STRICT;
    CREATE TABLE IF NOT EXISTS defences (
      digest TEXT PRIMARY KEY, model_id TEXT NOT NULL, tx TEXT NOT NULL, finding TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL
    ) STRICT;
    PRAGMA user_version = ${SCHEMA_VERSION}
  `);
  const wanted = { chain_id: String(identity.chainId), verifier: identity.verifier };
  const put = db.prepare('INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING');
  const get = db.prepare('SELECT value FROM meta WHERE name = ?');
  for (const [name, value] of Object.entries(wanted)) {
    put.run(name, value);
    const stored = String(get.get(name)?.['value']);
    if (stored !== value)
      throw new StateError(`${path} belongs to ${name} ${stored}, the configuration says ${value}; take another statePath`);
  }
};

/** One verifier per state: a write transaction on a file of its own, which the kernel ends with the process. Throws {@link StateError}. */
export const lockState = (lock: DatabaseSync, path: string): void => {
  try {
    lock.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE; BEGIN IMMEDIATE');
  } catch (cause) {
    throw new StateError(`the state ${path} is in use by another process; stop that one first, two would commit to two seeds`, { cause });
  }
};
