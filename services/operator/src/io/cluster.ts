import type { Applier } from '@cupel/kube/applier';
import { isNotFound } from '@cupel/kube/api-error';
import type { Client } from '@cupel/kube/client';
import { writeStatus } from '@cupel/kube/conditions';
import type { Recorder } from '@cupel/kube/events';
import { addFinalizer, removeFinalizer } from '@cupel/kube/finalizers';
import { deployments, networkPolicies, secrets, serviceAccounts, services } from '@cupel/kube/resource';
import type { BuiltIn, Resource } from '@cupel/kube/resource';
import { FINALIZER_CHAIN, FINALIZER_KEY_IN_USE } from '@cupel/protocol/crd/definition';

import type { Child } from '../reconcilers/modelprovider/plan.ts';
import type { ClusterReader, ClusterWriter, KeyReference, ObjectKey } from '../reconcilers/modelprovider/ports.ts';
import type { PoolReader } from '../reconcilers/gpunodepool/observe.ts';
import type { Access } from './access.ts';
import type { Informers } from './informers.ts';
import type { Keys } from './keys.ts';
import { createLocks } from './locks.ts';
import type { ReadyGauge } from './metrics.ts';
import { gpuNodePools, markets, modelProviders } from './resources.ts';

const CHILDREN: Record<Child['kind'], Resource<BuiltIn>> = {
  ServiceAccount: serviceAccounts,
  NetworkPolicy: networkPolicies,
  Service: services,
  Deployment: deployments,
};

export interface ClusterOptions {
  /** Fenced by the lease. */
  readonly client: Client;
  readonly informers: Informers;
  readonly applier: Applier;
  readonly recorder: Recorder;
  readonly keys: Keys;
  readonly access: Access;
  readonly ready: ReadyGauge;
}

export interface StatusWriter {
  writePoolStatus(name: string, status: object): Promise<void>;
  writeMarketStatus(name: string, status: object): Promise<void>;
}

/** The cluster as the reconcilers see it: reads from the stores, writes by server-side apply under the lease. */
export const createCluster = (options: ClusterOptions): ClusterReader & ClusterWriter & PoolReader & StatusWriter => {
  const { client, informers, applier, recorder, keys, access, ready } = options;
  const locks = createLocks();
  const statusOf = async (resource: Resource<BuiltIn>, live: BuiltIn | undefined, status: object): Promise<void> => {
    if (live === undefined) return;
    await writeStatus(client, resource, live, status).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  };

  /** The Secrets that other objects of the namespace use which are not let go yet. */
  const secretsOfOthers = async (name: ObjectKey): Promise<readonly (string | undefined)[]> => {
    const { items } = await client.list(modelProviders, { namespace: name.namespace });
    return items
      .filter(({ metadata }) => metadata.name !== name.name && metadata.finalizers?.includes(FINALIZER_CHAIN) === true)
      .map(({ spec }) => secretNameOf(spec));
  };

  return {
    modelProvider: (name) => informers.modelProviders.store.get(name),
    market: (name) => informers.markets.store.get({ name }),
    pool: (name) => informers.pools.store.get({ name }),
    namespace: (name) => informers.namespaces.store.get({ name }),
    nodes: () => informers.nodes.store.list(),
    podsOn: (node) => informers.pods.store.byIndex('node', node),
    deployment: (name) => informers.deployments.store.get(name),
    pods: ({ namespace, name }) => informers.pods.store.byIndex('provider', `${namespace}/${name}`),

    async operatorKey(reference) {
      const found = await keys.signer(reference);
      return found.state === 'present'
        ? { state: 'present', address: found.signer.address, held: found.held && access.held(reference.namespace) }
        : found;
    },

    async holdObject(name) {
      const live = informers.modelProviders.store.get(name);
      if (live !== undefined) await addFinalizer(client, modelProviders, live, FINALIZER_CHAIN);
    },
    async holdKey(reference) {
      const secret = await client.get(secrets, { namespace: reference.namespace, name: reference.name });
      if (secret !== undefined) await addFinalizer(client, secrets, secret, FINALIZER_KEY_IN_USE);
      await access.hold(reference.namespace);
    },
    // Under a lock, and with a fresh list: two that leave at once must not each leave the Secret to the other.
    letGo: (name, key: KeyReference | undefined) =>
      locks(name.namespace, async () => {
        const live = await client.get(modelProviders, name);
        const others = await secretsOfOthers(name);
        if (key !== undefined && !others.includes(key.name)) {
          const secret = await client.get(secrets, { namespace: key.namespace, name: key.name });
          if (secret !== undefined) await removeFinalizer(client, secrets, secret, FINALIZER_KEY_IN_USE);
        }
        if (others.length === 0) await access.release(name.namespace);
        // Last: until it is off, a crash only means that all of this is done again.
        if (live !== undefined) await removeFinalizer(client, modelProviders, live, FINALIZER_CHAIN);
        ready(name.namespace, name.name, undefined);
      }),

    async ensureChildren(children) {
      let changed = false;
      for (const child of children) {
        const resource = CHILDREN[child.kind];
        const { namespace, name } = child.metadata;
        const live = informers.children[child.kind].store.get({ namespace, name });
        const result = await applier.apply(resource, child, live);
        changed ||= result.changed;
      }
      return changed;
    },

    writeStatus: (name, status) => {
      ready(name.namespace, name.name, status.conditions?.some(({ type, status: state }) => type === 'Ready' && state === 'True') ?? false);
      return statusOf(modelProviders, informers.modelProviders.store.get(name), status);
    },
    writePoolStatus: (name, status) => statusOf(gpuNodePools, informers.pools.store.get({ name }), status),
    writeMarketStatus: (name, status) => statusOf(markets, informers.markets.store.get({ name }), status),

    tell(name, notes) {
      const live = informers.modelProviders.store.get(name);
      if (live === undefined) return;
      for (const { type, reason, message } of notes) recorder.record(live, { type, reason, action: 'Reconcile', note: message });
    },
  };
};

const secretNameOf = (spec: BuiltIn['spec']): string | undefined => {
  const identity = spec?.['identity'];
  if (typeof identity !== 'object' || identity === null || !('operatorKeyRef' in identity)) return undefined;
  const reference = identity.operatorKeyRef;
  return typeof reference === 'object' && reference !== null && 'name' in reference && typeof reference.name === 'string'
    ? reference.name
    : undefined;
};
