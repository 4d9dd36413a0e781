import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createQueue, type Queue } from '../src/queue.ts';
import { createFakeClock, type FakeClock } from './fake-clock.ts';

const make = (clock: FakeClock = createFakeClock()): { queue: Queue; clock: FakeClock } => ({
  clock,
  queue: createQueue({ name: 'test', clock, random: () => 1, baseMs: 100, maxMs: 1600, failingEveryMs: 1000 }),
});

/** Keys that are free to take now. */
async function drain(queue: Queue): Promise<string[]> {
  const keys = [];
  while (queue.depth > 0) keys.push((await queue.take()) ?? 'closed');
  return keys;
}

describe('queue', () => {
  it('hands out each key once, first in first out, however often it was added', async () => {
    const { queue } = make();
    for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key);
    expect(await drain(queue)).toEqual(['a', 'b', 'c']);
  });

  it('runs a key again after its worker, never beside it', async () => {
    const { queue } = make();
    queue.add('a');
    expect(await queue.take()).toBe('a');
    queue.add('a');
    queue.add('a');
    expect(queue.depth).toBe(0);
    queue.succeeded('a');
    expect(await drain(queue)).toEqual(['a']);
    queue.succeeded('a');
    expect(queue.depth).toBe(0);
  });

  it('backs off exponentially up to the limit, and forgets on success', async () => {
    const { queue, clock } = make();
    const waits = [];
    for (let round = 0; round < 6; round++) {
      queue.add('a');
      clock.advance(2000);
      await queue.take();
      waits.push(queue.failed('a'));
      clock.advance(1999);
    }
    expect(waits).toEqual([100, 200, 400, 800, 1600, 1600]);
    expect(await queue.take()).toBe('a');
    queue.succeeded('a');
    queue.add('a');
    await queue.take();
    expect(queue.failed('a')).toBe(100);
  });

  it('lets additions run a failing key at most once a second', async () => {
    const { queue, clock } = make();
    queue.add('a');
    for (let round = 0; round < 5; round++) {
      await queue.take();
      queue.failed('a');
      clock.advance(1600);
    }
    await queue.take();
    queue.failed('a');
    let runs = 0;
    for (let elapsedMs = 0; elapsedMs < 1500; elapsedMs += 50) {
      queue.add('a');
      clock.advance(50);
      for (const _ of await drain(queue)) {
        runs++;
        queue.failed('a');
      }
    }
    expect(runs).toBe(1);
  });

  it('does not put off a back-off that is due sooner, and drops the timer of a key that runs before', async () => {
    const { queue, clock } = make();
    queue.add('a');
    await queue.take();
    queue.failed('a');
    queue.add('a');
    clock.advance(100);
    expect(await drain(queue)).toEqual(['a']);
    queue.succeeded('a', 1000);
    queue.add('a');
    expect(clock.pending).toBe(0);
    await queue.take();
    queue.succeeded('a');
    clock.advance(5000);
    expect(queue.depth).toBe(0);
  });

  it('keeps one look-again timer a key; the latest run decides', async () => {
    const { queue, clock } = make();
    queue.add('a');
    await queue.take();
    queue.succeeded('a', 1000);
    queue.add('a');
    await queue.take();
    queue.succeeded('a', 5000);
    expect(clock.pending).toBe(1);
    clock.advance(4999);
    expect(queue.depth).toBe(0);
    clock.advance(1);
    expect(await drain(queue)).toEqual(['a']);
    queue.succeeded('a');
    expect(clock.pending).toBe(0);
  });

  it('wakes waiting takers on shutdown and hands out nothing any more', async () => {
    const { queue, clock } = make();
    queue.add('a');
    await queue.take();
    const waiting = queue.take();
    queue.shutDown();
    expect(await waiting).toBeUndefined();
    queue.add('b');
    queue.failed('a');
    expect(clock.pending).toBe(0);
    expect(await queue.take()).toBeUndefined();
  });

  it('refuses a key that no worker has', () => {
    const { queue } = make();
    expect(() => queue.succeeded('a')).toThrow(/"a" was handed back/);
  });

  it('agrees with a model: no key with two workers, none lost', async () => {
    const key = fc.constantFrom('a', 'b', 'c');
    const step = fc.oneof(
      fc.record({ do: fc.constant('add' as const), key }),
      fc.record({ do: fc.constant('take' as const) }),
      fc.record({ do: fc.constant('succeed' as const), key, again: fc.option(fc.integer({ min: 1, max: 3000 }), { nil: undefined }) }),
      fc.record({ do: fc.constant('fail' as const), key }),
      fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 2000 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { queue, clock } = make();
        const running = new Set<string>();
        // Keys that must still be handed out at least once.
        const owed = new Set<string>();
        const take = async (): Promise<void> => {
          const taken = await queue.take();
          if (taken === undefined) throw new Error('closed');
          expect(running.has(taken)).toBe(false);
          running.add(taken);
          owed.delete(taken);
        };
        for (const action of steps) {
          if (action.do === 'add') {
            queue.add(action.key);
            owed.add(action.key);
          } else if (action.do === 'wait') clock.advance(action.ms);
          else if (action.do === 'take') {
            if (queue.depth > 0) await take();
          } else if (running.delete(action.key)) {
            if (action.do === 'fail') {
              queue.failed(action.key);
              owed.add(action.key);
            } else {
              queue.succeeded(action.key, action.again);
              if (action.again !== undefined) owed.add(action.key);
            }
          }
        }
        for (let round = 0; round < 20 && (owed.size > 0 || running.size > 0); round++) {
          for (const active of running) queue.succeeded(active);
          running.clear();
          clock.advance(5000);
          while (queue.depth > 0) await take();
        }
        expect([...owed]).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
