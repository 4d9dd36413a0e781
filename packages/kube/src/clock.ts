/** Time as this package sees it; tests bring their own. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump. Only for timestamps that others read. */
  wallMs(): number;
  /** Milliseconds that never go backwards; for every duration. */
  monotonicMs(): number;
  /** Calls back once after `ms`; the returned function cancels. */
  after(ms: number, callback: () => void): () => void;
}

// Node turns a longer delay into 1 ms.
const longestTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, Math.min(ms, longestTimerMs));
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms`, or at once when the signal aborts; never rejects. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = (): void => {
      cancel();
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const cancel = clock.after(ms, finish);
    signal?.addEventListener('abort', finish);
  });
}

/** Back-off of the n-th failure in a row (from 0): doubles from `baseMs` to `maxMs`, of which a random half to whole is taken. */
export function backoffMs(attempt: number, limits: { readonly baseMs: number; readonly maxMs: number }, random: () => number): number {
  const full = Math.min(limits.maxMs, limits.baseMs * 2 ** Math.min(attempt, 40));
  return full * (0.5 + random() / 2);
}
