import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../src/object.ts';
import { createStore } from '../src/store.ts';

const pod = (name: string, version: string, more: Record<string, unknown> = {}, namespace = 'team'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, uid: `uid-${name}`, resourceVersion: version, ...more },
});

describe('store', () => {
  it('tells what a full list changed, and keeps other namespaces', () => {
    const store = createStore();
    store.put(pod('elsewhere', '1', {}, 'other'));
    store.replaceAll([pod('a', '1'), pod('b', '1'), pod('c', '1')], 'team');
    const changes = store.replaceAll([pod('a', '1'), pod('b', '2'), pod('d', '3')], 'team');
    expect(changes.map(({ type, object }) => `${type} ${object.metadata.name}`).sort()).toEqual(['Added d', 'Deleted c', 'Updated b']);
    expect(
      store
        .list()
        .map(({ metadata }) => metadata.name)
        .sort(),
    ).toEqual(['a', 'b', 'd', 'elsewhere']);
    expect(store.list({ namespace: 'other' })).toHaveLength(1);
  });

  it('counts a successor of the same name as deleted and added', () => {
    const store = createStore();
    store.put(pod('a', '1'));
    const changes = store.replaceAll([pod('a', '9', { uid: 'uid-new' })]);
    expect(changes.map(({ type, object }) => [type, object.metadata.uid])).toEqual([
      ['Deleted', 'uid-a'],
      ['Added', 'uid-new'],
    ]);
  });

  it('follows indexes through updates and removal', () => {
    const store = createStore({ indexers: { node: (object) => [object.metadata.labels?.['node'] ?? 'none'] } });
    const owner = { apiVersion: 'v1', kind: 'Job', name: 'j', uid: 'owner-1' };
    store.put(pod('a', '1', { labels: { node: 'x' }, ownerReferences: [owner] }));
    expect(store.byIndex('node', 'x')).toHaveLength(1);
    expect(store.byIndex('owner', 'owner-1')).toHaveLength(1);
    store.put(pod('a', '2', { labels: { node: 'y' } }));
    expect([store.byIndex('node', 'x').length, store.byIndex('node', 'y').length, store.byIndex('owner', 'owner-1').length]).toEqual([
      0, 1, 0,
    ]);
    store.remove({ namespace: 'team', name: 'a' });
    expect(store.byIndex('node', 'y')).toEqual([]);
    expect(() => store.byIndex('zone', 'y')).toThrow(/index "zone" is not declared/);
  });

  it('keeps no managedFields and says nothing about the same version', () => {
    const store = createStore();
    store.put(pod('a', '1', { managedFields: [{ manager: 'x' }] }));
    expect(store.get({ namespace: 'team', name: 'a' })?.metadata).not.toHaveProperty('managedFields');
    expect(store.put(pod('a', '1'))).toBeUndefined();
  });

  it('stores an object on which an indexer throws', () => {
    const faults: unknown[] = [];
    const store = createStore({
      indexers: {
        bad: () => {
          throw new Error('odd object');
        },
      },
      onFault: (error) => faults.push(error),
    });
    store.put(pod('a', '1'));
    expect(store.size).toBe(1);
    expect(faults).toHaveLength(1);
  });
});
