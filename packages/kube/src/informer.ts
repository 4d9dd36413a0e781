import type { Client } from './client.ts';
import type { Clock } from './clock.ts';
import { formatName, type KubeObject, nameOf, type ObjectName } from './object.ts';
import { reflect } from './reflector.ts';
import { type Resource, resourceLabel } from './resource.ts';
import { type Change, createStore, type Indexers, type ReadStore } from './store.ts';
import type { Log, Metrics } from './telemetry.ts';

export interface InformerOptions<T extends KubeObject> {
  /** Absent or empty: all namespaces. */
  readonly namespaces?: readonly string[] | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Further indexes beside `owner`: index name → values of an object. */
  readonly indexers?: Indexers<T> | undefined;
  /** Drops fields that nobody reads, to save memory. */
  readonly trim?: ((object: T) => T) | undefined;
  readonly pageSize?: number | undefined;
  /** A watch on which nothing, not even a bookmark, comes for that long is opened anew. Default 100 s. */
  readonly silenceMs?: number | undefined;
}

/** Source of names for a controller. */
export interface Watch {
  /** Calls back with names to reconcile; the returned function ends it. */
  subscribe(handler: (name: ObjectName) => void): () => void;
  /** Names of everything now in the store. */
  all(): ObjectName[];
  synced(): boolean;
  readonly label: string;
}

/** A store that follows the cluster, and those who want to hear of changes. */
export interface Informer<T extends KubeObject> {
  readonly resource: Resource<T>;
  readonly label: string;
  readonly store: ReadStore<T>;
  /** True once the store has held everything. */
  synced(): boolean;
  whenSynced(): Promise<void>;
  subscribe(handler: (change: Change<T>) => void): () => void;
  /** Names for a controller: of the object itself, or those that `map` gives; an updated object counts for its old names too. */
  names(map?: (object: T) => readonly ObjectName[]): Watch;
}

export interface RunnableInformer<T extends KubeObject> extends Informer<T> {
  /** Follows the cluster until the signal aborts; never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

export interface InformerDependencies {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
}

export function createInformer<T extends KubeObject>(
  dependencies: InformerDependencies,
  resource: Resource<T>,
  options: InformerOptions<T> = {},
): RunnableInformer<T> {
  const store = createStore<T>({
    indexers: options.indexers,
    trim: options.trim,
    onFault: (error, object) =>
      dependencies.log.error(
        { resource: resourceLabel(resource), err: error, name: nameOf(object) },
        'an indexer or trim threw on this object',
      ),
  });
  const handlers = new Set<(change: Change<T>) => void>();
  const selected = options.namespaces ?? [];
  const namespaces: readonly (string | undefined)[] = selected.length === 0 || !resource.namespaced ? [undefined] : [...new Set(selected)];
  const unsynced = new Set(namespaces);
  const synced = Promise.withResolvers<void>();
  const label = resourceLabel(resource);

  const tell = (change: Change<T>): void => {
    for (const handler of handlers) {
      try {
        handler(change);
      } catch (error) {
        dependencies.log.error(
          { resource: label, err: error, name: nameOf(change.object) },
          'a change handler threw; the others still hear it',
        );
      }
    }
  };
  const subscribe = (handler: (change: Change<T>) => void): (() => void) => {
    handlers.add(handler);
    return () => handlers.delete(handler);
  };

  return {
    resource,
    label,
    store,
    synced: () => unsynced.size === 0,
    whenSynced: () => synced.promise,
    subscribe,
    names: (map = (object) => [nameOf(object)]) => ({
      label,
      synced: () => unsynced.size === 0,
      all: () => distinct(store.list().flatMap((object) => [...map(object)])),
      subscribe: (handler) =>
        subscribe((change) => {
          const objects = change.type === 'Updated' ? [change.object, change.previous] : [change.object];
          for (const name of distinct(objects.flatMap((object) => [...map(object)]))) handler(name);
        }),
    }),
    run: async (signal) => {
      const { namespaces: _, indexers: __, trim: ___, pageSize, silenceMs, ...selectors } = options;
      await Promise.all(
        namespaces.map((namespace) =>
          reflect(
            {
              ...dependencies,
              resource,
              selection: { ...selectors, namespace },
              store,
              onChange: tell,
              onSynced: () => {
                unsynced.delete(namespace);
                if (unsynced.size === 0) synced.resolve();
              },
              pageSize,
              silenceMs,
            },
            signal,
          ),
        ),
      );
    },
  };
}

function distinct(names: readonly ObjectName[]): ObjectName[] {
  return [...new Map(names.map((name) => [formatName(name), name])).values()];
}
