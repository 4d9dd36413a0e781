import { isConflict, isInvalid, isNotFound } from './api-error.ts';
import { type Client, describe, type JsonPatch } from './client.ts';
import { type KubeObject, nameOf } from './object.ts';
import type { Resource } from './resource.ts';

const attempts = 5;

/**
 * Adds the finalizer unless it is there. A patch with tests, so that neither another's finalizer nor a successor of the same name is touched.
 * @returns false when there was nothing to do: it is there already, or the object is being deleted (nothing may be added then) or is gone.
 * @throws ApiError
 */
export function addFinalizer<T extends KubeObject>(client: Client, resource: Resource<T>, live: T, finalizer: string): Promise<boolean> {
  return change(client, resource, live, (object) => {
    const { finalizers = [], deletionTimestamp } = object.metadata;
    if (finalizers.includes(finalizer) || deletionTimestamp !== undefined) return undefined;
    if (finalizers.length === 0) return [{ op: 'add', path: '/metadata/finalizers', value: [finalizer] }];
    return [
      { op: 'test', path: '/metadata/finalizers', value: finalizers },
      { op: 'add', path: '/metadata/finalizers/-', value: finalizer },
    ];
  });
}

/**
 * Removes the finalizer if it is there; the last one lets a deleted object go.
 * @returns false when there was nothing to do.
 * @throws ApiError
 */
export function removeFinalizer<T extends KubeObject>(client: Client, resource: Resource<T>, live: T, finalizer: string): Promise<boolean> {
  return change(client, resource, live, (object) => {
    const at = object.metadata.finalizers?.indexOf(finalizer) ?? -1;
    if (at < 0) return undefined;
    const path = `/metadata/finalizers/${at}`;
    return [
      { op: 'test', path, value: finalizer },
      { op: 'remove', path },
    ];
  });
}

async function change<T extends KubeObject>(
  client: Client,
  resource: Resource<T>,
  live: T,
  patchFor: (object: T) => JsonPatch | undefined,
): Promise<boolean> {
  const { uid, resourceVersion } = live.metadata;
  if (uid === undefined) throw new Error(`${describe(live)} has no metadata.uid; pass the object as read from the cluster`);
  let object = live;
  for (let attempt = 1; ; attempt++) {
    const patch = patchFor(object);
    if (patch === undefined) return false;
    // `add` of a whole list would overwrite one that has appeared since: then only the very version that was read may be patched.
    const whole = patch.some((operation) => operation.op === 'add' && operation.path === '/metadata/finalizers');
    const lock: JsonPatch = whole
      ? [{ op: 'test', path: '/metadata/resourceVersion', value: object.metadata.resourceVersion ?? resourceVersion }]
      : [];
    try {
      await client.jsonPatch(resource, nameOf(live), [{ op: 'test', path: '/metadata/uid', value: uid }, ...lock, ...patch]);
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      if (!(isConflict(error) || isInvalid(error)) || attempt >= attempts) throw error;
    }
    // What was read was old: look again, and decide again.
    const fresh = await client.get(resource, nameOf(live));
    if (fresh === undefined || fresh.metadata.uid !== uid) return false;
    object = fresh;
  }
}
