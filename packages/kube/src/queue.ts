import { backoffMs, type Clock } from './clock.ts';
import { type Metrics, noMetrics } from './telemetry.ts';

export interface QueueOptions {
  /** Label of the metrics. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly metrics?: Metrics;
  /** Wait after the first failure in a row, doubling with each further one; default 200 ms. */
  readonly baseMs?: number;
  /** Longest wait after a failure; default 2 min. */
  readonly maxMs?: number;
  /** While a key fails, additions run it at most this often; default 1 s. Otherwise a failing run that writes would wake itself. */
  readonly failingEveryMs?: number;
}

/**
 * Set of keys that wait for a worker, first in, first out. A key waits at most once and is never with two workers: added while a worker has
 * it, it runs again afterwards.
 */
export interface Queue {
  add(key: string): void;
  /** The next key, or `undefined` once the queue is shut down. Hand it back with `succeeded` or `failed`. */
  take(): Promise<string | undefined>;
  /** Forgets earlier failures. With `lookAgainInMs` the key comes back then, unless it runs before; the latest run decides. */
  succeeded(key: string, lookAgainInMs?: number): void;
  /** The key comes back after an exponential back-off with jitter; returns that wait in ms. */
  failed(key: string): number;
  /** Keys that wait and could run now. */
  readonly depth: number;
  /** Drops what waits, wakes the takers with `undefined`; keys with workers are still handed back. */
  shutDown(): void;
}

interface Timer {
  readonly dueMs: number;
  readonly cancel: () => void;
}

export function createQueue(options: QueueOptions): Queue {
  const { name, clock, random, metrics = noMetrics, baseMs = 200, maxMs = 120_000, failingEveryMs = 1000 } = options;
  const labels = { controller: name };
  // A Map keeps insertion order: key → when it was added.
  const waiting = new Map<string, number>();
  const running = new Set<string>();
  const dirty = new Set<string>();
  const timers = new Map<string, Timer>();
  const failures = new Map<string, { count: number; lastMs: number }>();
  const takers: ((key: string | undefined) => void)[] = [];
  let closed = false;

  const begin = (key: string, addedMs: number): void => {
    running.add(key);
    metrics.observe('kube_queue_wait_seconds', labels, (clock.monotonicMs() - addedMs) / 1000);
  };
  const enqueue = (key: string): void => {
    clearTimer(key);
    if (closed || waiting.has(key)) return;
    if (running.has(key)) {
      dirty.add(key);
      return;
    }
    const taker = takers.shift();
    if (taker === undefined) {
      waiting.set(key, clock.monotonicMs());
      metrics.gauge('kube_queue_depth', labels, waiting.size);
      return;
    }
    begin(key, clock.monotonicMs());
    taker(key);
  };
  const clearTimer = (key: string): void => {
    timers.get(key)?.cancel();
    timers.delete(key);
  };
  /** One timer a key; `onlyIfSooner` keeps an earlier one. */
  const schedule = (key: string, ms: number, onlyIfSooner: boolean): void => {
    if (closed) return;
    const dueMs = clock.monotonicMs() + ms;
    const present = timers.get(key);
    if (present !== undefined && onlyIfSooner && present.dueMs <= dueMs) return;
    clearTimer(key);
    const cancel = clock.after(ms, () => {
      timers.delete(key);
      enqueue(key);
    });
    timers.set(key, { dueMs, cancel });
  };
  const add = (key: string): void => {
    const failure = failures.get(key);
    if (failure === undefined || running.has(key)) {
      enqueue(key);
      return;
    }
    if (waiting.has(key)) return;
    const sinceMs = clock.monotonicMs() - failure.lastMs;
    if (sinceMs >= failingEveryMs) enqueue(key);
    else schedule(key, failingEveryMs - sinceMs, true);
  };
  /** True when the key was added meanwhile. */
  const release = (key: string): boolean => {
    if (!running.delete(key)) throw new Error(`queue ${name}: key "${key}" was handed back but is with no worker`);
    return dirty.delete(key);
  };

  return {
    add,
    take: () => {
      if (closed) return Promise.resolve(undefined);
      for (const [key, addedMs] of waiting) {
        waiting.delete(key);
        metrics.gauge('kube_queue_depth', labels, waiting.size);
        begin(key, addedMs);
        return Promise.resolve(key);
      }
      return new Promise((resolve) => takers.push(resolve));
    },
    succeeded: (key, lookAgainInMs) => {
      const again = release(key);
      failures.delete(key);
      if (again) enqueue(key);
      else if (lookAgainInMs !== undefined) schedule(key, Math.max(0, lookAgainInMs), false);
    },
    failed: (key) => {
      const again = release(key);
      const count = failures.get(key)?.count ?? 0;
      failures.set(key, { count: count + 1, lastMs: clock.monotonicMs() });
      const waitMs = backoffMs(count, { baseMs, maxMs }, random);
      schedule(key, waitMs, false);
      if (again) add(key);
      return waitMs;
    },
    get depth() {
      return waiting.size;
    },
    shutDown: () => {
      closed = true;
      waiting.clear();
      dirty.clear();
      for (const timer of timers.values()) timer.cancel();
      timers.clear();
      metrics.gauge('kube_queue_depth', labels, 0);
      for (const taker of takers.splice(0)) taker(undefined);
    },
  };
}
