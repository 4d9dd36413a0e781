import { describe, expect, it } from 'vitest';
import { createApplier } from '../src/applier.ts';
import type { KubeObject } from '../src/object.ts';
import { configMaps, secrets } from '../src/resource.ts';
import { createMemoryClient } from './memory-client.ts';

const name = { namespace: 'ns', name: 'a' };
const desired = (data: Record<string, string>): KubeObject & { data: Record<string, string> } => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: name,
  data,
});

describe('applier', () => {
  it('applies once, then not until something differs', async () => {
    const { client, writes } = createMemoryClient();
    const applier = createApplier({ client, annotation: 'x/applied' });
    const pass = async (data: Record<string, string>): Promise<boolean> => {
      const live = await client.get(configMaps, name);
      return (await applier.apply(configMaps, desired(data), live)).changed;
    };
    expect(await pass({ a: '1', b: '2' })).toBe(true);
    expect(await pass({ b: '2', a: '1' })).toBe(false);
    expect(await pass({ a: '1' })).toBe(true);
    expect(await pass({ a: '1' })).toBe(false);
    expect(writes).toHaveLength(2);
  });

  it('does not apply again while the store lags behind, but does once it has caught up and differs', async () => {
    const { client, objects, writes } = createMemoryClient();
    const applier = createApplier({ client, annotation: 'x/applied' });
    await applier.apply(configMaps, desired({ a: '1' }), undefined);
    const stale = await client.get(configMaps, name);
    await applier.apply(configMaps, desired({ a: '2' }), stale);
    await applier.apply(configMaps, desired({ a: '2' }), stale);
    expect(writes).toHaveLength(2);
    const live = objects.get('ns/a');
    if (live === undefined) throw new Error('gone');
    const foreign = { ...live, metadata: { ...live.metadata, resourceVersion: 'foreign' }, data: { a: 'changed' } };
    expect((await applier.apply(configMaps, desired({ a: '2' }), foreign)).changed).toBe(true);
    expect(writes).toHaveLength(3);
  });

  it('creates again what has gone', async () => {
    const { client, writes } = createMemoryClient();
    const applier = createApplier({ client, annotation: 'x/applied' });
    await applier.apply(configMaps, desired({ a: '1' }), undefined);
    await client.delete(configMaps, name);
    expect((await applier.apply(configMaps, desired({ a: '1' }), undefined)).changed).toBe(true);
    expect(writes).toEqual(['apply a', 'delete a', 'apply a']);
  });

  it('says what the server did not keep, with paths and without values', async () => {
    const { client } = createMemoryClient();
    const lines: string[] = [];
    const line = (fields: object, message: string): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
    const log = { debug: line, info: line, warn: line, error: line };
    const pruning = {
      ...client,
      apply: async (...args: Parameters<typeof client.apply>) => ({ ...(await client.apply(...args)), data: undefined }),
    } as typeof client;
    const applier = createApplier({ client: pruning, annotation: 'x/applied', log });
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: name, stringData: { key: 'hush-hush' } };
    await applier.apply(secrets, secret, undefined);
    expect(lines.join('\n')).toMatch(/did not keep these fields.*data/);
    expect(lines.join('\n')).not.toMatch(/hush-hush|aHVzaC1odXNo/);
  });

  it("compares a Secret's stringData with its data", async () => {
    const { client, writes } = createMemoryClient();
    const applier = createApplier({ client, annotation: 'x/applied' });
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: name, stringData: { key: 'v' } };
    await applier.apply(secrets, secret, undefined);
    const live = await client.get(secrets, name);
    expect(live?.data).toEqual({ key: 'dg==' });
    await createApplier({ client, annotation: 'x/applied' }).apply(secrets, secret, live);
    expect(writes).toHaveLength(1);
  });
});
