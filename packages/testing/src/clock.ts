import type { Clock } from '@cupel/protocol/time';

export interface FakeClock extends Clock {
  advance(ms: number): void;
}

/** Stands still until it is advanced; starts at 2026-01-01T00:00:00Z. */
export const fakeClock = (startMs = Date.UTC(2026, 0, 1)): FakeClock => {
  let now = startMs;
  return {
    nowMs: () => now,
    advance(ms) {
      now += ms;
    },
  };
};
