import { describe, expect, it } from 'vitest';
import type { Client } from '../src/client.ts';
import { createRecorder } from '../src/events.ts';
import type { KubeObject } from '../src/object.ts';
import { createFakeClock } from './fake-clock.ts';
import { createMemoryClient } from './memory-client.ts';

const regarding: KubeObject = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'ns', name: 'p', uid: 'u1' } };
const facts = { type: 'Normal', reason: 'Placed', action: 'Place', note: 'placed on n1' } as const;

function setUp(client?: Client) {
  const clock = createFakeClock();
  const memory = createMemoryClient();
  const patches: unknown[] = [];
  const spying: Client = {
    ...memory.client,
    mergePatch: (...args) => {
      patches.push(args[2]);
      return memory.client.mergePatch(...args);
    },
  };
  const recorder = createRecorder({
    client: client ?? spying,
    controller: 'c',
    instance: 'i',
    clock,
    burst: 3,
    refillMs: 1000,
    seriesMs: 10_000,
  });
  return { clock, memory, patches, recorder };
}

describe('event recorder', () => {
  it('writes one event and then, at most every ten seconds, how often it repeated', async () => {
    const { clock, memory, patches, recorder } = setUp();
    for (let second = 0; second < 25; second++) {
      recorder.record(regarding, facts);
      clock.advance(1000);
    }
    await recorder.flush();
    expect(memory.writes.filter((line) => line.startsWith('create'))).toHaveLength(1);
    expect(patches).toHaveLength(3);
    expect(patches.at(-1)).toMatchObject({ series: { count: 25 } });
  });

  it('begins anew when the last one is long ago, and for another note', async () => {
    const { clock, memory, recorder } = setUp();
    recorder.record(regarding, facts);
    clock.advance(6 * 60_000);
    recorder.record(regarding, facts);
    recorder.record(regarding, { ...facts, note: 'placed on n2' });
    await recorder.flush();
    expect(memory.objects.size).toBe(3);
  });

  it('lets a flood about one object through only as the bucket allows, and does not hold others back', async () => {
    const { clock, memory, recorder } = setUp();
    const flood = (object: KubeObject, count: number): void => {
      for (let number = 0; number < count; number++) recorder.record(object, { ...facts, note: `${clock.monotonicMs()} ${number}` });
    };
    flood(regarding, 50);
    flood({ ...regarding, metadata: { ...regarding.metadata, uid: 'u2' } }, 1);
    await recorder.flush();
    expect(memory.objects.size).toBe(4);
    clock.advance(2000);
    flood(regarding, 50);
    await recorder.flush();
    expect(memory.objects.size).toBe(6);
  });

  it('swallows refusals, as from a namespace that is going away', async () => {
    const memory = createMemoryClient();
    memory.before = () => {
      throw new Error('forbidden: namespace is being terminated');
    };
    const { recorder } = setUp(memory.client);
    recorder.record(regarding, facts);
    await recorder.flush();
    expect(memory.objects.size).toBe(0);
  });
});
