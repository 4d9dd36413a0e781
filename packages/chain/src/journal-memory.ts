import type { JournalEntry, TransactionJournal } from './journal.ts';

/**
 * A journal that a crash forgets: for those whose effects are idempotent by what they read on chain first (the operator). The lane then
 * waits at start for what it may have left pending.
 */
export const memoryJournal = (): TransactionJournal => {
  const entries = new Map<string, JournalEntry>();
  const id = (lane: string, key: string): string => `${lane}\n${key}`;
  return {
    get: (lane, key) => entries.get(id(lane, key)),
    open: (lane) => [...entries.values()].filter((e) => e.lane === lane && e.state !== 'final'),
    put: (entry) => void entries.set(id(entry.lane, entry.key), entry),
    remove: (lane, key) => void entries.delete(id(lane, key)),
  };
};
