import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { afterAll, describe, expect, it } from 'vitest';

import { raisedFees } from '../src/fees.ts';
import { memoryJournal } from '../src/journal-memory.ts';
import { openSqliteJournal } from '../src/journal-sqlite.ts';
import type { JournalEntry, TransactionJournal } from '../src/journal.ts';

const folder = mkdtempSync(join(tmpdir(), 'cupel-journal-'));
afterAll(() => rmSync(folder, { recursive: true }));

const entry = (key: string, more: Partial<JournalEntry> = {}): JournalEntry => ({
  key,
  lane: '1:0xab',
  purpose: 'redeem',
  to: '0x01',
  data: '0x02',
  value: 2n ** 80n,
  gas: 21_000n,
  state: 'intended',
  attempts: [],
  createdAtMs: 5,
  ...more,
});
const attempt = { hash: '0x0a', raw: '0x0b', maxFeePerGas: 10n ** 12n, maxPriorityFeePerGas: 7n, atBlock: 3 } as const;

describe.each<[string, () => TransactionJournal]>([
  ['memory', memoryJournal],
  ['sqlite', () => openSqliteJournal(':memory:')],
])('journal: %s', (_name, make) => {
  it('keeps entries per lane in the order of their first put, and forgets final ones in open()', () => {
    const journal = make();
    journal.put(entry('a'));
    journal.put(entry('b', { state: 'sent', nonce: 4, attempts: [attempt] }));
    journal.put(entry('c', { lane: '2:0xab' }));
    journal.put(entry('a', { state: 'sent', nonce: 5 }));
    expect(journal.open('1:0xab').map((e) => e.key)).toEqual(['a', 'b']);
    expect(journal.get('1:0xab', 'b')).toEqual(entry('b', { state: 'sent', nonce: 4, attempts: [attempt] }));
    journal.put(entry('b', { state: 'final', mined: { hash: '0x0a', blockNumber: 1, blockHash: '0x0c', success: true } }));
    expect(journal.open('1:0xab').map((e) => e.key)).toEqual(['a']);
    expect(journal.get('1:0xab', 'b')?.mined?.success).toBe(true);
    journal.remove('1:0xab', 'a');
    expect(journal.get('1:0xab', 'a')).toBeUndefined();
    expect(journal.get('2:0xab', 'c')).toBeDefined();
  });
});

describe('the SQLite journal', () => {
  it('is there after a restart', () => {
    const path = join(folder, 'lane.sqlite');
    {
      using journal = openSqliteJournal(path);
      journal.put(entry('a', { attempts: [attempt] }));
    }
    using journal = openSqliteJournal(path);
    expect(journal.get('1:0xab', 'a')).toEqual(entry('a', { attempts: [attempt] }));
  });

  it('refuses a file of a later program', () => {
    const path = join(folder, 'later.sqlite');
    const db = new DatabaseSync(path);
    db.exec('PRAGMA user_version = 9');
    db.close();
    expect(() => openSqliteJournal(path)).toThrow(/has schema 9, this program knows 1/);
  });
});

describe('raisedFees', () => {
  const fees = (maxFeePerGas: bigint, maxPriorityFeePerGas: bigint) => ({ maxFeePerGas, maxPriorityFeePerGas });

  it('is an eighth above the last, on both fees, or what the chain asks for', () => {
    expect(raisedFees(fees(80n, 8n), fees(1n, 1n), 1000n)).toEqual(fees(91n, 10n));
    expect(raisedFees(fees(80n, 8n), fees(500n, 50n), 1000n)).toEqual(fees(500n, 50n));
  });

  it('is none when the cap leaves no room for a replacement', () => {
    expect(raisedFees(fees(80n, 8n), fees(500n, 50n), 100n)).toEqual(fees(100n, 50n));
    expect(raisedFees(fees(95n, 8n), fees(500n, 50n), 100n)).toBeUndefined();
  });
});
