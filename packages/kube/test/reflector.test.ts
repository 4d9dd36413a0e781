import { afterEach, describe, expect, it } from 'vitest';
import { createClient } from '../src/client.ts';
import { systemClock } from '../src/clock.ts';
import { createInformer, type InformerOptions, type RunnableInformer } from '../src/informer.ts';
import { configMaps, type DataObject } from '../src/resource.ts';
import { noMetrics, silentLog } from '../src/telemetry.ts';
import { createTransport } from '../src/transport.ts';
import { eventually } from './eventually.ts';
import { answer, type FakeApiServer, startFakeApiServer } from './fake-api-server.ts';

let cleanUp: (() => Promise<void>) | undefined;
afterEach(async () => {
  await cleanUp?.();
  cleanUp = undefined;
});

async function start(
  prepare: (server: FakeApiServer) => void = () => {},
  options: InformerOptions<DataObject> = {},
): Promise<{ server: FakeApiServer; informer: RunnableInformer<DataObject>; names: () => string[]; seen: string[] }> {
  const server = await startFakeApiServer();
  prepare(server);
  const transport = createTransport({ config: server.config });
  const client = createClient({ transport, fieldManager: 'test' });
  const informer = createInformer({ client, clock: systemClock, random: () => 0, log: silentLog, metrics: noMetrics }, configMaps, options);
  const seen: string[] = [];
  informer.subscribe(({ type, object }) => seen.push(`${type} ${object.metadata.name}`));
  const stop = new AbortController();
  const running = informer.run(stop.signal);
  cleanUp = async () => {
    stop.abort();
    await running;
    await transport.close();
    await server[Symbol.asyncDispose]();
  };
  const names = (): string[] =>
    informer.store
      .list()
      .map(({ metadata }) => metadata.name)
      .sort();
  return { server, informer, names, seen };
}

const lists = (server: FakeApiServer): number => server.requests.filter((line) => !line.includes('watch=true')).length;

describe('reflector', () => {
  it('lists in pages, then follows additions, changes and removals', async () => {
    const { server, informer, names, seen } = await start((fake) => ['a', 'b', 'c', 'd', 'e'].forEach((name) => fake.put(name)), {
      pageSize: 2,
    });
    await informer.whenSynced();
    expect(names()).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(lists(server)).toBe(3);
    await eventually('a watch', () => server.watches === 1);
    server.put('f');
    server.put('a', { x: '1' });
    server.remove('b');
    await eventually('the changes', () => names().join('') === 'acdef');
    expect(seen.slice(-3)).toEqual(['Added f', 'Updated a', 'Deleted b']);
    expect(server.requests.at(-1)).toMatch(/allowWatchBookmarks=true.*timeoutSeconds=[345]\d\d/);
  });

  it('goes on from the last version after a TCP reset, within 1.5 s and without a new list', async () => {
    const { server, informer, names } = await start((fake) => fake.put('a'));
    await informer.whenSynced();
    await eventually('a watch', () => server.watches === 1);
    server.reset();
    server.put('b');
    const tookMs = await eventually('the change after the reset', () => names().join('') === 'ab');
    expect(tookMs).toBeLessThan(1500);
    expect(lists(server)).toBe(1);
  });

  it('goes on from the version of a bookmark', async () => {
    const { server, informer } = await start((fake) => fake.put('a'));
    await informer.whenSynced();
    await eventually('a watch', () => server.watches === 1);
    server.put('b');
    await eventually('b', () => informer.store.size === 2);
    // History up to here is forgotten, but the bookmark says that nothing was missed.
    server.bookmark();
    server.compact();
    await new Promise((resolve) => setTimeout(resolve, 50));
    server.reset();
    await eventually('a new watch', () => server.requests.length === 3);
    expect(server.requests.at(-1)).toContain('resourceVersion=13');
    expect(lists(server)).toBe(1);
  });

  it('lists again after 410 without emptying the store, and tells only the differences', async () => {
    const { server, informer, names, seen } = await start((fake) => ['a', 'b'].forEach((name) => fake.put(name)));
    await informer.whenSynced();
    await eventually('a watch', () => server.watches === 1);
    const sizes: number[] = [];
    informer.subscribe(() => sizes.push(informer.store.size));
    seen.length = 0;
    server.mute();
    server.remove('a');
    server.put('c');
    server.compact();
    server.reset();
    await eventually('the relist', () => names().join('') === 'bc');
    expect(seen.sort()).toEqual(['Added c', 'Deleted a']);
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(1);
    expect(lists(server)).toBe(2);
  });

  it('opens a watch anew when the peer is silent', async () => {
    const { server, informer, names } = await start((fake) => fake.put('a'), { silenceMs: 300 });
    await informer.whenSynced();
    await eventually('a watch', () => server.watches === 1);
    server.mute();
    server.put('b');
    const tookMs = await eventually('the change behind the silence', () => names().join('') === 'ab');
    expect(tookMs).toBeGreaterThan(200);
    expect(tookMs).toBeLessThan(1500);
  });

  it('survives a handler that throws', async () => {
    const { server, informer, names } = await start((fake) => fake.put('a'));
    await informer.whenSynced();
    informer.subscribe(() => {
      throw new Error('bad handler');
    });
    const later: string[] = [];
    informer.subscribe(({ object }) => later.push(object.metadata.name));
    await eventually('a watch', () => server.watches === 1);
    server.put('b');
    server.put('c');
    await eventually('both changes', () => names().join('') === 'abc');
    expect(later).toEqual(['b', 'c']);
  });

  it('survives every odd answer to list and watch, and does not ask in a hot loop', async () => {
    const { server, informer, names } = await start((fake) => {
      fake.put('a');
      fake.next(
        answer(500, { kind: 'Status', code: 500, message: 'boom' }),
        answer(200, '{"kind":"ConfigMapList"'),
        answer(200, '<html>login</html>'),
        (request) => request.socket.resetAndDestroy(),
      );
    });
    await eventually('the list after all', () => informer.synced(), 8000);
    await eventually('a watch', () => server.watches === 1);
    const before = server.requests.length;
    // Watches that end at once, break off in the middle of an event, or speak nonsense.
    server.next(
      answer(200, ''),
      answer(200, '{"type":"ADDED","obj'),
      answer(200, '{"type":"SOMETHING","object":{}}\n'),
      answer(200, '{"type":"ADDED","object":{"metadata":{}}}\n'),
      answer(503, 'busy', { 'retry-after': '0' }),
    );
    server.reset();
    server.put('b');
    await eventually('the change after all', () => names().join('') === 'ab', 10_000);
    expect(server.requests.length - before).toBeLessThan(12);
  });

  it('waits as long as 429 asks', async () => {
    const { server, informer } = await start((fake) => fake.next(answer(429, { kind: 'Status', code: 429 }, { 'retry-after': '1' })));
    const tookMs = await eventually('the list', () => informer.synced());
    expect(tookMs).toBeGreaterThan(950);
    expect(lists(server)).toBe(2);
  });

  it('follows several namespaces in one store', async () => {
    const { server, informer } = await start((fake) => fake.put('a'), { namespaces: ['team', 'other', 'team'] });
    await informer.whenSynced();
    await eventually('two watches', () => server.watches === 2);
    expect(server.requests.filter((line) => line.includes('/namespaces/other/'))).not.toHaveLength(0);
  });
});
