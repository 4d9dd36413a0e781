import type { DatabaseSync } from 'node:sqlite';

/** The database cannot be used as a ledger; the message says why and what to do. */
export class LedgerError extends Error {
  override readonly name = 'LedgerError';
}

const SCHEMA_VERSION = 2;

/**
 * Amounts are TEXT decimals (micro passes 2^63), ids TEXT hex, times INTEGER unix milliseconds unless the name says otherwise. README.md
 * describes the columns for readers from outside.
 */
const TABLES = `
  CREATE TABLE channels (
    channel_id TEXT PRIMARY KEY, descriptor TEXT NOT NULL, consumer_id TEXT, charged TEXT NOT NULL, credited TEXT NOT NULL,
    leased TEXT NOT NULL, stale_base TEXT, deposit TEXT NOT NULL, settled TEXT NOT NULL, close_at_seconds INTEGER NOT NULL,
    status TEXT NOT NULL, requests INTEGER NOT NULL, registered_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE vouchers (
    channel_id TEXT PRIMARY KEY, max_claimable TEXT NOT NULL, signature TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE leases (
    lease_id TEXT PRIMARY KEY, channel_id TEXT NOT NULL, router_id TEXT NOT NULL, amount TEXT NOT NULL, charged TEXT NOT NULL,
    expires_at INTEGER NOT NULL, state TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX leases_open ON leases (lease_id) WHERE state = 'open';
  CREATE TABLE charges (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL UNIQUE, direction TEXT NOT NULL, channel_id TEXT NOT NULL,
    lease_id TEXT NOT NULL, consumer_id TEXT, price TEXT NOT NULL, charged TEXT NOT NULL, cumulative TEXT NOT NULL,
    model_id TEXT NOT NULL, version_id TEXT NOT NULL, public_name TEXT NOT NULL, receipt_digest TEXT NOT NULL UNIQUE,
    envelope TEXT NOT NULL, fingerprint TEXT NOT NULL, outgoing_id TEXT, held_at INTEGER NOT NULL, claim TEXT) STRICT;
  CREATE INDEX charges_consumer ON charges (consumer_id, sequence);
  CREATE INDEX charges_unclaimed ON charges (sequence) WHERE claim IS NULL AND direction = 'issued';
  CREATE TABLE credits (
    receipt_digest TEXT PRIMARY KEY, request_id TEXT NOT NULL, channel_id TEXT NOT NULL, amount TEXT NOT NULL,
    at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE outgoing (
    channel_id TEXT PRIMARY KEY, payee TEXT NOT NULL, descriptor TEXT NOT NULL, status TEXT NOT NULL, deposit TEXT NOT NULL,
    planned_deposit TEXT NOT NULL, top_ups INTEGER NOT NULL, signed_max TEXT NOT NULL, receipted TEXT NOT NULL,
    last_cumulative TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE sessions (
    channel_id TEXT PRIMARY KEY, sealed_key BLOB NOT NULL, key_hash TEXT NOT NULL, max_unpaid TEXT NOT NULL, not_after TEXT NOT NULL,
    signature TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE payloads (request_id TEXT PRIMARY KEY, sealed BLOB NOT NULL, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX payloads_expiry ON payloads (expires_at);
  CREATE TABLE outbox (request_id TEXT PRIMARY KEY, held_at INTEGER NOT NULL, published_at INTEGER) STRICT;
  CREATE INDEX outbox_waiting ON outbox (held_at) WHERE published_at IS NULL;
  CREATE TABLE consumers (
    consumer_id TEXT PRIMARY KEY, name TEXT NOT NULL, api_key_sha256 TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE settlements (
    id TEXT PRIMARY KEY, batch TEXT NOT NULL, state TEXT NOT NULL, hash TEXT, message TEXT, planned_at INTEGER NOT NULL,
    ended_at INTEGER) STRICT, WITHOUT ROWID;
  CREATE TABLE claims (
    claim_id TEXT PRIMARY KEY, version_id TEXT NOT NULL, root TEXT NOT NULL, count INTEGER NOT NULL, max_price TEXT NOT NULL,
    state TEXT NOT NULL, tx TEXT, planned_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

/** From version 1 to 2, and part of every new file: own channels by owner, what was redeemed on them, and when they were used last. */
const OUTGOING_USE = `
  ALTER TABLE outgoing ADD COLUMN owner TEXT;
  ALTER TABLE outgoing ADD COLUMN settled TEXT NOT NULL DEFAULT '0';
  ALTER TABLE outgoing ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
  UPDATE outgoing SET used_at = unixepoch() * 1000;
`;

/** How often a commit reaches the disk. OFF exists for the test that shows what FULL is for. */
export type Synchronous = 'FULL' | 'OFF';

/** Sets the connection up and creates the tables, or checks that they are of this version. Throws {@link LedgerError}. */
export const prepareDatabase = (db: DatabaseSync, path: string, synchronous: Synchronous): void => {
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 2000`);
  const mode = db.prepare('PRAGMA journal_mode').get()?.['journal_mode'];
  if (mode !== 'wal')
    throw new LedgerError(`the ledger ${path} cannot use write-ahead logging (got ${String(mode)}); put it on a local volume`);
  const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version']);
  if (version === SCHEMA_VERSION) return;
  if (version !== 0 && version !== 1) {
    throw new LedgerError(
      `the ledger ${path} has schema version ${version}, this program writes ${SCHEMA_VERSION}; use the program that wrote it`,
    );
  }
  db.exec(`BEGIN IMMEDIATE; ${version === 0 ? TABLES : ''} ${OUTGOING_USE} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
};
