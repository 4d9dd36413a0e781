import { DatabaseSync } from 'node:sqlite';

import type { Hex } from '@cupel/protocol/hex';
import { encodeJson } from '@cupel/protocol/wire/scalars';

import { TABLES, rowSchemas } from '../project/rows.ts';
import type { AnyRow, Change, Row, Table } from '../project/rows.ts';
import type { UndoJournal } from '../tail/follow.ts';

const SCHEMA_VERSION = '1';
/** Hashes kept below the finalized height, so that a lagging node is told from a fork. */
const KEEP_HASHES = 256;

/**
 * Cursor, rows and undo records in one SQLite file. `identity` names chain, contracts and start block: a file of another one is emptied. The
 * file may be lost at any time, so it is not synced at every commit. One process at a time.
 */
export const openUndoJournal = (path: string, identity: string): UndoJournal & Disposable => {
  const db = new DatabaseSync(path);
  db.exec(`
    PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000;
    CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS blocks (number INTEGER PRIMARY KEY, hash TEXT NOT NULL, timestamp INTEGER NOT NULL, changes TEXT) STRICT;
    CREATE TABLE IF NOT EXISTS rows (tbl TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (tbl, key)) STRICT;
  `);
  const getMeta = db.prepare('SELECT value FROM meta WHERE name = ?');
  const setMeta = db.prepare('INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value');
  const meta = (name: string): string | undefined => {
    const row = getMeta.get(name);
    return row && String(row['value']);
  };
  const stamp = `${SCHEMA_VERSION}:${identity}`;
  if (meta('identity') !== stamp) {
    db.exec('DELETE FROM blocks; DELETE FROM rows; DELETE FROM meta');
    setMeta.run('identity', stamp);
  }

  const tables: { readonly [T in Table]: Map<Hex, Row<T>> } = {
    providers: new Map(),
    models: new Map(),
    stakes: new Map(),
    channels: new Map(),
    claims: new Map(),
    disputes: new Map(),
  };
  const remember = (table: Table, key: Hex, row: AnyRow | undefined): void => {
    if (row === undefined) tables[table].delete(key);
    else (tables[table] as Map<Hex, AnyRow>).set(key, row);
  };
  for (const row of db.prepare('SELECT tbl, key, value FROM rows').all()) {
    const table = TABLES.find((t) => t === row['tbl']);
    if (table) remember(table, String(row['key']) as Hex, decodeRow(table, String(row['value'])));
  }

  const putRow = db.prepare(
    'INSERT INTO rows (tbl, key, value) VALUES (?, ?, ?) ON CONFLICT (tbl, key) DO UPDATE SET value = excluded.value',
  );
  const dropRow = db.prepare('DELETE FROM rows WHERE tbl = ? AND key = ?');
  const putBlock = db.prepare('INSERT OR REPLACE INTO blocks (number, hash, timestamp, changes) VALUES (?, ?, ?, ?)');
  const topBlock = db.prepare('SELECT number, hash, timestamp FROM blocks ORDER BY number DESC LIMIT 1');
  const oneBlock = db.prepare('SELECT hash, changes FROM blocks WHERE number = ?');
  const dropBlock = db.prepare('DELETE FROM blocks WHERE number = ?');
  const forget = db.prepare('UPDATE blocks SET changes = NULL WHERE number <= ? AND changes IS NOT NULL');
  const dropOld = db.prepare('DELETE FROM blocks WHERE number < ? AND number < (SELECT max(number) FROM blocks)');

  const transaction = (work: () => void): void => {
    db.exec('BEGIN IMMEDIATE');
    try {
      work();
      db.exec('COMMIT');
    } catch (error) {
      db.exec('ROLLBACK');
      throw error;
    }
  };
  /** On disk first, then in memory. */
  const change = (changes: readonly Change[], more: () => void): void => {
    transaction(() => {
      for (const { table, key, after } of changes) {
        if (after === undefined) dropRow.run(table, key);
        else putRow.run(table, key, encodeJson(after));
      }
      more();
    });
    for (const { table, key, after } of changes) remember(table, key, after);
  };

  return {
    get: (table, key) => tables[table].get(key),
    all: (table) => tables[table],
    tip() {
      const row = topBlock.get();
      return row && { number: Number(row['number']), hash: String(row['hash']) as Hex, timestamp: Number(row['timestamp']) };
    },
    finalized: () => Number(meta('finalized') ?? -1),
    setFinalized(number) {
      if (number !== Number(meta('finalized') ?? -1)) setMeta.run('finalized', String(number));
    },
    hashAt(number) {
      const row = oneBlock.get(number);
      return row && (String(row['hash']) as Hex);
    },
    apply(block, changes, undoable) {
      change(changes, () => {
        putBlock.run(block.number, block.hash, block.timestamp, undoable ? encodeJson(changes) : null);
      });
    },
    changesOf(block) {
      const row = oneBlock.get(block.number);
      if (!row || String(row['hash']) !== block.hash || row['changes'] === null) return undefined;
      return (JSON.parse(String(row['changes'])) as StoredChange[]).map(({ table, key, before, after }) => ({
        table,
        key,
        before: before === undefined ? undefined : parseRow(table, before),
        after: after === undefined ? undefined : parseRow(table, after),
      }));
    },
    undo(block, changes) {
      change(changes, () => {
        dropBlock.run(block.number);
      });
    },
    prune(below) {
      forget.run(below);
      dropOld.run(below - KEEP_HASHES);
    },
    [Symbol.dispose]() {
      db.close();
    },
  };
};

interface StoredChange {
  readonly table: Table;
  readonly key: Hex;
  readonly before?: unknown;
  readonly after?: unknown;
}

const decodeRow = (table: Table, text: string): AnyRow => parseRow(table, JSON.parse(text));

const parseRow = (table: Table, value: unknown): AnyRow => rowSchemas[table].parse(value);
