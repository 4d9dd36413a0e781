import { describe, expect, it } from 'vitest';
import { ApiError } from '../src/api-error.ts';
import { createLease, fencedClient, type Lease, LeaseLostError } from '../src/lease.ts';
import { configMaps } from '../src/resource.ts';
import { createFakeClock, type FakeClock } from './fake-clock.ts';
import { createMemoryClient } from './memory-client.ts';

const key = 'ns/op';
const offline = (): never => {
  throw new ApiError({ status: 0, reason: 'Unreachable', message: 'cut off' });
};

/** Lets promises settle, then moves time in small steps. */
async function advance(clock: FakeClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 50) {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    clock.advance(Math.min(50, left));
  }
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

function setUp() {
  const clock = createFakeClock();
  const memory = createMemoryClient();
  const ends: (() => Promise<void>)[] = [];
  const contender = (): { lease: Lease; log: string[]; stop: () => Promise<void>; cut: (yes: boolean) => void } => {
    let isCut = false;
    const own = createMemoryClient();
    // Same objects, own fault.
    const client = {
      ...memory.client,
      get: async (...args: Parameters<typeof memory.client.get>) => (isCut ? offline() : memory.client.get(...args)),
      create: async (...args: Parameters<typeof memory.client.create>) => (isCut ? offline() : memory.client.create(...args)),
      replace: async (...args: Parameters<typeof memory.client.replace>) => (isCut ? offline() : memory.client.replace(...args)),
    } as typeof own.client;
    const lease = createLease({ client, namespace: 'ns', name: 'op', identity: 'pod', clock, random: () => 0.5 });
    const log: string[] = [];
    const end = new AbortController();
    const done = lease.run(end.signal, { onHeld: () => log.push('held'), onLost: () => log.push('lost') });
    const stop = async (): Promise<void> => {
      end.abort();
      await done;
    };
    ends.push(stop);
    return { lease, log, stop, cut: (yes) => (isCut = yes) };
  };
  return { clock, memory, contender, ends };
}

describe('lease', () => {
  it('goes to one, who renews; it is passed on when given back', async () => {
    const { clock, contender, ends, memory } = setUp();
    const [a, b] = [contender(), contender()];
    await advance(clock, 20_000);
    expect([a.lease.held(), b.lease.held()]).toEqual([true, false]);
    await a.stop();
    expect(a.log).toEqual(['held', 'lost']);
    await advance(clock, 1600);
    expect(b.lease.held()).toBe(true);
    expect(JSON.stringify(memory.objects.get(key))).toContain('"leaseTransitions":1');
    for (const end of ends) await end();
  });

  it('is lost 6 s after the last renewal and taken over no sooner than 10 s after it, never both', async () => {
    const { clock, contender, ends } = setUp();
    const [a, b] = [contender(), contender()];
    await advance(clock, 3000);
    a.cut(true);
    const cutMs = clock.monotonicMs();
    let lostMs = 0;
    while (!b.lease.held() && clock.monotonicMs() - cutMs < 20_000) {
      await advance(clock, 50);
      if (!a.lease.held() && lostMs === 0) lostMs = clock.monotonicMs() - cutMs;
      expect(a.lease.held() && b.lease.held()).toBe(false);
      expect(a.lease.held() && a.lease.validForMs() < 4000).toBe(false);
    }
    expect(lostMs).toBeGreaterThan(4400);
    expect(lostMs).toBeLessThanOrEqual(6050);
    expect(clock.monotonicMs() - cutMs).toBeGreaterThan(8400);
    expect(clock.monotonicMs() - cutMs).toBeLessThan(12_000);
    expect(a.log).toEqual(['held', 'lost']);
    a.cut(false);
    await advance(clock, 10_000);
    expect([a.lease.held(), b.lease.held()]).toEqual([false, true]);
    for (const end of ends) await end();
  });

  it('stays with its holder when somebody only touches the object, or the answer to a renewal is lost', async () => {
    const { clock, contender, ends, memory } = setUp();
    const a = contender();
    await advance(clock, 2000);
    const touched = memory.objects.get(key);
    if (touched === undefined) throw new Error('no lease');
    memory.objects.set(key, { ...touched, metadata: { ...touched.metadata, resourceVersion: 'touched' } });
    await advance(clock, 20_000);
    expect(a.lease.held()).toBe(true);
    expect(a.log).toEqual(['held']);
    for (const end of ends) await end();
  });

  it('is lost at once when another holds it', async () => {
    const { clock, contender, ends, memory } = setUp();
    const a = contender();
    await advance(clock, 2000);
    const lease = memory.objects.get(key);
    if (lease === undefined) throw new Error('no lease');
    const stolen = {
      ...lease,
      metadata: { ...lease.metadata, resourceVersion: 'stolen' },
      spec: { holderIdentity: 'thief', leaseDurationSeconds: 10 },
    };
    memory.objects.set(key, stolen);
    await advance(clock, 1600);
    expect(a.lease.held()).toBe(false);
    for (const end of ends) await end();
    expect(memory.objects.get(key)).toBe(stolen);
  });

  it('refuses times that could not keep two apart', () => {
    const { memory } = setUp();
    const options = { client: memory.client, namespace: 'ns', name: 'op', identity: 'pod' };
    expect(() => createLease({ ...options, durationMs: 5000, renewDeadlineMs: 6000 })).toThrow(/renewDeadlineMs < durationMs/);
  });
});

describe('fenced client', () => {
  it('sends no write without the lease, and none that could arrive after its end', async () => {
    const memory = createMemoryClient();
    let validMs = 0;
    let deadlineMs: number | undefined;
    const spying = {
      ...memory.client,
      apply: (...args: Parameters<typeof memory.client.apply>) => {
        deadlineMs = args[2]?.deadlineMs;
        return memory.client.apply(...args);
      },
    } as typeof memory.client;
    const client = fencedClient(spying, { held: () => validMs > 0, validForMs: () => validMs });
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'ns', name: 'a' } };
    await expect(client.apply(configMaps, object)).rejects.toThrow(LeaseLostError);
    await expect(client.delete(configMaps, object.metadata)).rejects.toThrow(/not sent, the lease is not held/);
    expect(memory.writes).toEqual([]);
    expect(await client.get(configMaps, object.metadata)).toBeUndefined();
    validMs = 4000;
    await client.apply(configMaps, object);
    expect(deadlineMs).toBe(4000);
    await client.apply(configMaps, object, { deadlineMs: 100 });
    expect(deadlineMs).toBe(100);
  });
});
