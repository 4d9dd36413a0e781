import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../src/clock.ts';
import { createController, type Reconcile, TerminalError } from '../src/controller.ts';
import type { Watch } from '../src/informer.ts';
import type { ObjectName } from '../src/object.ts';
import { noMetrics, silentLog } from '../src/telemetry.ts';
import { eventually } from './eventually.ts';

function fakeWatch(names: string[]): Watch & { fire: (name: string) => void; subscribers: number } {
  const handlers = new Set<(name: ObjectName) => void>();
  return {
    label: 'fake',
    synced: () => true,
    all: () => names.map((name) => ({ namespace: 'team', name })),
    subscribe: (handler) => {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    fire: (name) => handlers.forEach((handler) => handler({ namespace: 'team', name })),
    get subscribers() {
      return handlers.size;
    },
  };
}

function start(watch: Watch, reconcile: Reconcile, more: { concurrency?: number; timeoutMs?: number; resyncMs?: number } = {}) {
  const drain = new AbortController();
  const abort = new AbortController();
  const controller = createController(
    { clock: systemClock, random: () => 0.5, log: silentLog, metrics: noMetrics },
    { name: 'test', watches: [watch], reconcile, backoff: { baseMs: 20, maxMs: 100 }, ...more },
  );
  const done = controller.run({ drain: drain.signal, abort: abort.signal });
  return { controller, drain, abort, done };
}

describe('controller', () => {
  it('reconciles what is there, then what changes, at most so many at once and never one name twice at once', async () => {
    const watch = fakeWatch(Array.from({ length: 20 }, (_, number) => `n${number}`));
    const running = new Map<string, number>();
    let most = 0;
    let runs = 0;
    const { drain, done } = start(
      watch,
      async ({ name }) => {
        running.set(name, (running.get(name) ?? 0) + 1);
        most = Math.max(most, running.size);
        expect(running.get(name)).toBe(1);
        await sleep(2);
        running.delete(name);
        runs++;
        return {};
      },
      { concurrency: 3 },
    );
    await eventually('20 runs', () => runs === 20);
    for (let time = 0; time < 50; time++) watch.fire('n1');
    await eventually('a run for the burst', () => runs >= 21);
    await sleep(30);
    expect(runs).toBeLessThanOrEqual(22);
    expect(most).toBe(3);
    drain.abort();
    await done;
    expect(watch.subscribers).toBe(0);
  });

  it('tries again after a throw, waits for a change after a TerminalError, and looks again when asked', async () => {
    const watch = fakeWatch(['flaky', 'hopeless', 'periodic']);
    const counts: Record<string, number> = {};
    const { drain, done } = start(watch, async ({ name }) => {
      const count = (counts[name] = (counts[name] ?? 0) + 1);
      if (name === 'hopeless') throw new TerminalError('no');
      if (name === 'flaky' && count < 3) throw new Error('not yet');
      return name === 'periodic' && count < 4 ? { lookAgainInMs: 10 } : {};
    });
    await eventually('the runs', () => counts['flaky'] === 3 && counts['periodic'] === 4);
    expect(counts['hopeless']).toBe(1);
    watch.fire('hopeless');
    await eventually('another try', () => counts['hopeless'] === 2);
    drain.abort();
    await done;
  });

  it('aborts the signal of a reconcile that takes too long, and does not start it beside itself', async () => {
    const watch = fakeWatch(['slow']);
    let starts = 0;
    let aborted = false;
    const { controller, drain, done } = start(
      watch,
      (_, { signal }) =>
        new Promise((resolve) => {
          starts++;
          signal.addEventListener('abort', () => {
            aborted = true;
            setTimeout(() => resolve({}), 50);
          });
        }),
      { timeoutMs: 30 },
    );
    await eventually('the abort', () => aborted);
    watch.fire('slow');
    expect(starts).toBe(1);
    expect(controller.longestRunningMs()).toBeGreaterThanOrEqual(25);
    drain.abort();
    await done;
    expect(controller.longestRunningMs()).toBe(0);
  });

  it('finishes what is under way when drained, and starts nothing more', async () => {
    const watch = fakeWatch(['a', 'b', 'c']);
    const ended: string[] = [];
    const { drain, done } = start(
      watch,
      async ({ name }) => {
        await sleep(30);
        ended.push(name);
        return {};
      },
      { concurrency: 1 },
    );
    await sleep(5);
    drain.abort();
    await done;
    expect(ended).toEqual(['a']);
  });

  it('looks at everything again now and then', async () => {
    const watch = fakeWatch(['a']);
    let runs = 0;
    const { drain, done } = start(
      watch,
      () => {
        runs++;
        return Promise.resolve({});
      },
      { resyncMs: 20 },
    );
    await eventually('several runs', () => runs >= 3);
    expect(watch.subscribers).toBe(1);
    drain.abort();
    await done;
  });
});
