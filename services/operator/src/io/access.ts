import type { Client } from '@cupel/kube/client';
import { addFinalizer, removeFinalizer } from '@cupel/kube/finalizers';
import { FINALIZER_OPERATOR_ACCESS } from '@cupel/protocol/crd/definition';

import { roleBindings, roles } from './resources.ts';

/** Our own rights in a namespace. */
export interface Access {
  held(namespace: string): boolean;
  hold(namespace: string): Promise<void>;
  release(namespace: string): Promise<void>;
}

/**
 * A namespace that is deleted loses its Role and RoleBinding at once, and with them the operator loses the key with which it must retire what is
 * staked: the namespace would hang for ever. So both carry a finalizer while a ModelProvider of the namespace is in use. The right to take it off
 * again comes from the ClusterRole (by resourceName; rules cannot be changed by it).
 */
export const createAccess = (client: Client, roleName: string | undefined): Access => {
  const namespaces = new Set<string>();
  if (roleName === undefined) return { held: () => true, hold: () => Promise.resolve(), release: () => Promise.resolve() };
  const each = async (namespace: string, work: typeof addFinalizer): Promise<void> => {
    // The binding last on the way out: it is what makes the role count.
    for (const resource of [roles, roleBindings]) {
      const live = await client.get(resource, { namespace, name: roleName });
      if (live !== undefined) await work(client, resource, live, FINALIZER_OPERATOR_ACCESS);
    }
  };
  return {
    held: (namespace) => namespaces.has(namespace),
    async hold(namespace) {
      await each(namespace, addFinalizer);
      namespaces.add(namespace);
    },
    async release(namespace) {
      namespaces.delete(namespace);
      await each(namespace, removeFinalizer);
    },
  };
};
