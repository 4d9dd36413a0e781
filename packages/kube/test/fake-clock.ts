import type { Clock } from '../src/clock.ts';

/** A clock that stands still until it is told to go on. */
export interface FakeClock extends Clock {
  /** Moves time on, calling back in order of due time. */
  advance(ms: number): void;
  readonly pending: number;
}

export function createFakeClock(): FakeClock {
  let nowMs = 0;
  let order = 0;
  const timers = new Map<number, { dueMs: number; callback: () => void }>();
  const nextDue = (limit: number): [number, { dueMs: number; callback: () => void }] | undefined =>
    [...timers].filter(([, timer]) => timer.dueMs <= limit).sort(([a, x], [b, y]) => x.dueMs - y.dueMs || a - b)[0];
  return {
    wallMs: () => 1_700_000_000_000 + nowMs,
    monotonicMs: () => nowMs,
    after: (ms, callback) => {
      const id = order++;
      timers.set(id, { dueMs: nowMs + ms, callback });
      return () => timers.delete(id);
    },
    advance: (ms) => {
      const end = nowMs + ms;
      for (let next = nextDue(end); next !== undefined; next = nextDue(end)) {
        timers.delete(next[0]);
        nowMs = next[1].dueMs;
        next[1].callback();
      }
      nowMs = end;
    },
    get pending() {
      return timers.size;
    },
  };
}
