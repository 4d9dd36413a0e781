import { describe, expect, it } from 'vitest';
import type { Watch } from '../src/informer.ts';
import type { Lease } from '../src/lease.ts';
import { createManager } from '../src/manager.ts';
import { configMaps } from '../src/resource.ts';
import { eventually } from './eventually.ts';
import { createMemoryClient } from './memory-client.ts';

const watch: Watch = { label: 'fake', synced: () => true, all: () => [{ namespace: 'ns', name: 'a' }], subscribe: () => () => {} };

/** A lease that the test gives and takes. */
function manualLease(): Lease & { give: () => void; take: () => void; released: boolean } {
  let holds = false;
  let handlers = { onHeld: (): void => {}, onLost: (): void => {} };
  const lease = {
    identity: 'me',
    held: () => holds,
    validForMs: () => (holds ? 4000 : 0),
    released: false,
    give: () => {
      holds = true;
      handlers.onHeld();
    },
    take: () => {
      holds = false;
      handlers.onLost();
    },
    run: (signal: AbortSignal, events: typeof handlers) => {
      handlers = events;
      return new Promise<void>((resolve) =>
        signal.addEventListener('abort', () => {
          lease.released = holds;
          holds = false;
          events.onLost();
          resolve();
        }),
      );
    },
  };
  return lease;
}

describe('manager', () => {
  it('runs controllers only under the lease, aborts them when it is lost, and never overlaps two terms', async () => {
    const lease = manualLease();
    const memory = createMemoryClient();
    const manager = createManager({ client: memory.client, lease });
    const log: string[] = [];
    let finish = (): void => {};
    manager.controller({
      name: 'test',
      watches: [watch],
      reconcile: async (_, { signal }) => {
        log.push('begin');
        await new Promise<void>((resolve) => (finish = resolve));
        log.push(signal.aborted ? 'end aborted' : 'end');
        const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'ns', name: 'a' } };
        await manager.client.apply(configMaps, object);
        return {};
      },
    });
    await manager.start();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(log).toEqual([]);
    lease.give();
    await eventually('the first reconcile', () => log.length === 1);
    lease.take();
    lease.give();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(log).toEqual(['begin']);
    lease.take();
    finish();
    await eventually('its end', () => log.length === 2);
    expect(log).toEqual(['begin', 'end aborted']);
    expect(memory.writes).toEqual([]);
    lease.give();
    await eventually('the second term', () => log.length === 3);
    finish();
    await eventually('its write', () => memory.writes.length === 1);
    await manager.stop();
    expect(lease.released).toBe(true);
  });

  it('lets a reconcile finish when stopping, up to the grace', async () => {
    const lease = manualLease();
    const manager = createManager({ client: createMemoryClient().client, lease, graceMs: 60 });
    let outcome = '';
    manager.controller({
      name: 'test',
      watches: [watch],
      reconcile: (_, { signal }) =>
        new Promise((resolve) =>
          signal.addEventListener('abort', () => {
            outcome = lease.held() ? 'aborted while held' : 'aborted without lease';
            resolve({});
          }),
        ),
    });
    await manager.start();
    lease.give();
    await new Promise((resolve) => setTimeout(resolve, 10));
    const beganMs = performance.now();
    await Promise.all([manager.stop(), manager.stop()]);
    expect(performance.now() - beganMs).toBeGreaterThanOrEqual(55);
    expect(outcome).toBe('aborted while held');
  });

  it('refuses additions after start', async () => {
    const manager = createManager({ client: createMemoryClient().client });
    await manager.start();
    expect(() => manager.informer(configMaps)).toThrow(/add every informer and controller before/);
    await manager.stop();
  });
});
