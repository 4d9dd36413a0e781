import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import type { LedgerStore } from '../ledger/records.ts';
import type { Decision, LedgerView, Result } from '../ledger/rows.ts';
import { lockLedger } from './ledger-lock.ts';
import { ledgerRecords } from './ledger-records.ts';
import { prepareDatabase } from './ledger-schema.ts';
import type { Synchronous } from './ledger-schema.ts';
import { openState } from './ledger-state.ts';

export interface LedgerOptions {
  readonly path: string;
  /** FULL unless a test says otherwise. */
  readonly synchronous?: Synchronous;
  readonly nowMs: number;
  /** A write failed: memory may be ahead of the disk, so the process must end and start from the disk again. */
  readonly onFatal: (error: unknown) => void;
  /** Told of each commit. */
  readonly onCommit?: (commands: number, seconds: number) => void;
}

export interface SqliteLedger extends LedgerStore, Disposable {
  /** For a health check. */
  status(): string | undefined;
}

interface Waiting {
  /** Runs inside the transaction and returns what to do once it is on disk. Throws for a command that is at fault itself. */
  readonly run: () => () => void;
  readonly reject: (error: unknown) => void;
}

/** Commands of one commit; more wait for the next. */
const MAX_BATCH = 1024;

/**
 * The ledger on disk: WAL, one fsync per batch of commands that arrived in one turn of the event loop, replies only after it. Channels, open
 * leases and own channels are kept in memory, and written once per batch however often it changed them. Throws LedgerError when another
 * process holds the ledger or the file is of another version.
 */
export const openLedger = (options: LedgerOptions): SqliteLedger => {
  mkdirSync(dirname(options.path), { recursive: true });
  const lock = lockLedger(options.path, options.nowMs);
  const db = new DatabaseSync(options.path);
  try {
    prepareDatabase(db, options.path, options.synchronous ?? 'FULL');
  } catch (error) {
    db.close();
    lock[Symbol.dispose]();
    throw error;
  }
  const state = openState(db);
  const waiting: Waiting[] = [];
  let scheduled = false;
  let failure: unknown;

  const fail = (error: unknown, batch: readonly Waiting[]): void => {
    failure = error;
    for (const w of [...batch, ...waiting.splice(0)]) w.reject(error);
    options.onFatal(error);
  };

  const flush = (): void => {
    scheduled = false;
    if (failure !== undefined || waiting.length === 0) return;
    const batch = waiting.splice(0, MAX_BATCH);
    if (waiting.length > 0) schedule();
    const start = performance.now();
    const done: (() => void)[] = [];
    try {
      db.exec('BEGIN IMMEDIATE');
      for (const { run, reject } of batch) {
        try {
          done.push(run());
        } catch (error) {
          if (error instanceof WriteFailed) throw error;
          done.push(() => reject(error));
        }
      }
      state.writeBack();
      db.exec('COMMIT');
    } catch (error) {
      fail(error, batch);
      return;
    }
    options.onCommit?.(batch.length, (performance.now() - start) / 1000);
    for (const finish of done) finish();
  };

  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(flush);
  };

  const enqueue = <T>(run: () => T): Promise<T> =>
    new Promise((resolve, reject) => {
      if (failure !== undefined) {
        reject(failure);
        return;
      }
      waiting.push({
        reject,
        run: () => {
          const value = run();
          return () => resolve(value);
        },
      });
      schedule();
    });

  return {
    view: state.view,
    channels: () => state.channels.values(),
    channelsOf: (consumerId) => [...(state.byConsumer.get(consumerId) ?? [])].map((id) => state.channels.get(id)!),
    outgoing: () => state.outgoing.values(),
    records: ledgerRecords(db),
    submit: <T>(decide: (view: LedgerView) => Decision<T>): Promise<Result<T>> =>
      enqueue(() => {
        const decision = decide(state.view);
        writing(() => decision.changes.forEach(state.put));
        return decision.ok ? { ok: true, value: decision.value } : { ok: false, refusal: decision.refusal };
      }),
    write: (write) => enqueue(() => writing(write)),
    status: () => (failure === undefined ? undefined : 'a write failed; the process must start again'),
    [Symbol.dispose]() {
      while (failure === undefined && waiting.length > 0) flush();
      failure ??= new Error('the ledger is closed');
      db.close();
      lock[Symbol.dispose]();
    },
  };
};

/** Something was perhaps written before this: the transaction, and the rows in memory, are lost. */
class WriteFailed extends Error {
  override readonly name = 'WriteFailed';
}

const writing = <T>(write: () => T): T => {
  try {
    return write();
  } catch (cause) {
    throw new WriteFailed('a write to the ledger failed', { cause });
  }
};
