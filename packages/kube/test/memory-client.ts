import { ApiError } from '../src/api-error.ts';
import type { Client } from '../src/client.ts';
import { formatName, type KubeObject, nameOf } from '../src/object.ts';

/** Objects in memory with versions and refusals, for tests of what sits on top of a client. Applies replace. */
export interface MemoryClient {
  readonly client: Client;
  readonly writes: string[];
  readonly objects: Map<string, KubeObject>;
  /** Runs before each call; throw to fail it. */
  before: (verb: string) => void | Promise<void>;
}

export function createMemoryClient(): MemoryClient {
  const objects = new Map<string, KubeObject>();
  const writes: string[] = [];
  let version = 0;
  const refuse = (status: number, reason: string): ApiError => new ApiError({ status, reason, message: reason });
  const keep = <T extends KubeObject>(object: T): T => {
    version++;
    const metadata = { uid: `uid-${version}`, ...object.metadata, resourceVersion: String(version) };
    const stored = { ...object, metadata };
    objects.set(formatName(nameOf(object)), stored);
    return stored;
  };
  const unsupported = (): never => {
    throw new Error('not in this fake');
  };
  const memory: MemoryClient = {
    objects,
    writes,
    before: () => {},
    client: {
      get: async (_resource, name) => {
        await memory.before('get');
        return objects.get(formatName(name)) as never;
      },
      list: unsupported,
      watch: unsupported,
      raw: unsupported,
      create: async (_resource, object) => {
        await memory.before('create');
        writes.push(`create ${object.metadata.name}`);
        if (objects.has(formatName(nameOf(object)))) throw refuse(409, 'AlreadyExists');
        return keep(object) as never;
      },
      apply: async (_resource, object) => {
        await memory.before('apply');
        writes.push(`apply ${object.metadata.name}`);
        const present = objects.get(formatName(nameOf(object)));
        return keep({
          ...object,
          metadata: { ...object.metadata, ...(present === undefined ? {} : { uid: present.metadata.uid }) },
        }) as never;
      },
      replace: async (_resource, object) => {
        await memory.before('replace');
        writes.push(`replace ${object.metadata.name}`);
        const present = objects.get(formatName(nameOf(object)));
        if (present === undefined) throw refuse(404, 'NotFound');
        const { resourceVersion } = object.metadata;
        if (resourceVersion !== undefined && resourceVersion !== present.metadata.resourceVersion) throw refuse(409, 'Conflict');
        return keep(object) as never;
      },
      jsonPatch: unsupported,
      mergePatch: async (_resource, name) => {
        await memory.before('mergePatch');
        writes.push(`mergePatch ${name.name}`);
        const present = objects.get(formatName(name));
        if (present === undefined) throw refuse(404, 'NotFound');
        return present as never;
      },
      delete: async (_resource, name) => {
        await memory.before('delete');
        writes.push(`delete ${name.name}`);
        return objects.delete(formatName(name));
      },
    },
  };
  return memory;
}
