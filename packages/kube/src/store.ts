import { formatName, type KubeObject, nameOf, type ObjectName } from './object.ts';

export type Indexers<T> = Readonly<Record<string, (object: T) => readonly string[]>>;

export type Change<T> =
  | { readonly type: 'Added'; readonly object: T }
  | { readonly type: 'Updated'; readonly object: T; readonly previous: T }
  | { readonly type: 'Deleted'; readonly object: T };

/** Objects as last heard of; may lag behind the cluster. */
export interface ReadStore<T extends KubeObject> {
  get(name: ObjectName): T | undefined;
  list(options?: { readonly namespace?: string | undefined }): T[];
  /** Built in: `owner` by the uid of any owner. @throws when the index was not declared. */
  byIndex(index: string, value: string): T[];
  readonly size: number;
}

export interface Store<T extends KubeObject> extends ReadStore<T> {
  /** Added or updated; `undefined` when the very same version is there. */
  put(object: T): Change<T> | undefined;
  remove(name: ObjectName): Change<T> | undefined;
  /** Makes the store equal to a full list of `namespace` (absent: of everything) and tells the differences; an object under a name with another uid counts as deleted and added. */
  replaceAll(objects: readonly T[], namespace?: string): Change<T>[];
}

/** Drops `metadata.managedFields`, often half of an object, which no reconciler reads. */
export function trimManagedFields<T extends KubeObject>(object: T): T {
  if (!('managedFields' in object.metadata)) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

export interface StoreOptions<T extends KubeObject> {
  readonly indexers?: Indexers<T> | undefined;
  readonly trim?: ((object: T) => T) | undefined;
  /** Hears of an indexer or trim that threw; the object is then stored without that index, or untrimmed. */
  readonly onFault?: (error: unknown, object: T) => void;
}

export function createStore<T extends KubeObject>(options: StoreOptions<T> = {}): Store<T> {
  // One odd object must not keep all others out.
  const guarded = <R>(object: T, fallback: R, compute: (object: T) => R): R => {
    try {
      return compute(object);
    } catch (error) {
      options.onFault?.(error, object);
      return fallback;
    }
  };
  const trim = (object: T): T => guarded(object, object, options.trim ?? ((same) => same));
  const indexers: Indexers<T> = {
    owner: (object) => (object.metadata.ownerReferences ?? []).map((reference) => reference.uid),
    ...options.indexers,
  };
  const objects = new Map<string, T>();
  const indexes = new Map<string, Map<string, Set<string>>>(Object.keys(indexers).map((name) => [name, new Map()]));

  const unindex = (key: string, object: T): void => {
    for (const [name, values] of Object.entries(indexers)) {
      const index = indexes.get(name);
      for (const value of guarded(object, [], values)) {
        const keys = index?.get(value);
        keys?.delete(key);
        if (keys?.size === 0) index?.delete(value);
      }
    }
  };
  const index = (key: string, object: T): void => {
    for (const [name, values] of Object.entries(indexers))
      for (const value of guarded(object, [], values)) {
        const keys = indexes.get(name)?.get(value);
        if (keys === undefined) indexes.get(name)?.set(value, new Set([key]));
        else keys.add(key);
      }
  };
  const set = (key: string, object: T, previous: T | undefined): void => {
    if (previous !== undefined) unindex(key, previous);
    objects.set(key, object);
    index(key, object);
  };

  const put = (raw: T): Change<T> | undefined => {
    const object = trim(trimManagedFields(raw));
    const key = formatName(nameOf(object));
    const previous = objects.get(key);
    const { resourceVersion } = object.metadata;
    if (previous !== undefined && resourceVersion !== undefined && previous.metadata.resourceVersion === resourceVersion) return undefined;
    set(key, object, previous);
    return previous === undefined ? { type: 'Added', object } : { type: 'Updated', object, previous };
  };
  const remove = (name: ObjectName): Change<T> | undefined => {
    const key = formatName(name);
    const object = objects.get(key);
    if (object === undefined) return undefined;
    unindex(key, object);
    objects.delete(key);
    return { type: 'Deleted', object };
  };

  return {
    get: (name) => objects.get(formatName(name)),
    list: ({ namespace } = {}) => {
      const all = [...objects.values()];
      return namespace === undefined ? all : all.filter((object) => object.metadata.namespace === namespace);
    },
    byIndex: (name, value) => {
      const found = indexes.get(name);
      if (found === undefined) throw new Error(`index "${name}" is not declared; add it to the informer's indexers`);
      const keys = found.get(value) ?? [];
      return [...keys].flatMap((key) => objects.get(key) ?? []);
    },
    get size() {
      return objects.size;
    },
    put,
    remove,
    replaceAll: (list, namespace) => {
      const changes: Change<T>[] = [];
      const listed = new Map(list.map((object) => [formatName(nameOf(object)), object.metadata.uid]));
      for (const [key, object] of objects) {
        if (namespace !== undefined && object.metadata.namespace !== namespace) continue;
        if (listed.has(key) && listed.get(key) === object.metadata.uid) continue;
        const change = remove(nameOf(object));
        if (change !== undefined) changes.push(change);
      }
      for (const object of list) {
        const change = put(object);
        if (change !== undefined) changes.push(change);
      }
      return changes;
    },
  };
}
