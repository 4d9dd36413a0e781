import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { DatabaseSync } from 'node:sqlite';

import { LedgerError } from './ledger-schema.ts';

/**
 * One process per ledger. The lock is a write transaction on a database of its own beside the ledger: the kernel drops it with the process,
 * also after kill −9, and readers of the ledger are not in its way. Who holds it stands in a plain file, since a locked database tells
 * nobody. (That file is only a note: the lock decides.)
 */
export const lockLedger = (ledgerPath: string, nowMs: number): Disposable => {
  const holderPath = `${ledgerPath}.holder.json`;
  const db = new DatabaseSync(`${ledgerPath}.lock`);
  try {
    db.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE; BEGIN IMMEDIATE');
  } catch (cause) {
    db.close();
    throw new LedgerError(
      `the ledger ${ledgerPath} is in use by ${readHolder(holderPath)}; stop that process first, two must never write one ledger`,
      {
        cause,
      },
    );
  }
  writeFileSync(holderPath, `${JSON.stringify({ pid: process.pid, host: hostname(), since: new Date(nowMs).toISOString() })}\n`);
  return {
    [Symbol.dispose]() {
      db.exec('ROLLBACK');
      db.close();
    },
  };
};

const readHolder = (path: string): string => {
  try {
    const holder: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof holder === 'object' && holder !== null && 'pid' in holder && 'host' in holder && 'since' in holder) {
      return `process ${String(holder.pid)} on ${String(holder.host)}, since ${String(holder.since)}`;
    }
  } catch {
    // The note is missing or half written: the lock itself is what counts.
  }
  return 'another process';
};
