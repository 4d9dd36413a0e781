import type { ObjectName } from '@cupel/kube/object';
import type { Manager } from '@cupel/kube/manager';
import type { BuiltIn } from '@cupel/kube/resource';
import { LABEL_MODEL_PROVIDER } from '@cupel/protocol/crd/definition';
import { MODEL_PROVIDER } from '@cupel/protocol/crd/model-provider';
import { controllerName } from '@cupel/kube/object';

import type { Informers } from './informers.ts';
import { decidePool } from '../reconcilers/gpunodepool/decide.ts';
import { observePool } from '../reconcilers/gpunodepool/observe.ts';
import type { PoolReader } from '../reconcilers/gpunodepool/observe.ts';
import { decideMarket } from '../reconcilers/market/decide.ts';
import { observeMarket } from '../reconcilers/market/observe.ts';
import type { MarketPorts } from '../reconcilers/market/observe.ts';
import type { Settings } from '../reconcilers/modelprovider/observed.ts';
import type { ModelProviderPorts } from '../reconcilers/modelprovider/ports.ts';
import { reconcileModelProvider } from '../reconcilers/modelprovider/reconcile.ts';

export interface ControllerDeps {
  readonly modelProvider: ModelProviderPorts;
  readonly market: MarketPorts;
  readonly settings: Settings;
}

export interface StatusPort extends PoolReader {
  writePoolStatus(name: string, status: object): Promise<void>;
  writeMarketStatus(name: string, status: object): Promise<void>;
}

export interface Controllers {
  /** The engine list of an edge changed. */
  edgeChanged(namespace: string, edge: string): void;
  /** Something changed on chain; modelId without 0x. */
  modelChanged(modelId: string): void;
}

const fieldAt = (object: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined),
    object,
  );

/** The three controllers, and what wakes them. */
export const addControllers = (manager: Manager, informers: Informers, cluster: StatusPort, deps: ControllerDeps): Controllers => {
  const providers = (keep: (object: BuiltIn) => boolean): ObjectName[] =>
    informers.modelProviders.store
      .list()
      .filter(keep)
      .map(({ metadata }) => ({ namespace: metadata.namespace, name: metadata.name }));
  const referring = (field: 'marketRef' | 'poolRef', name: string): ObjectName[] =>
    providers((object) => fieldAt(object, 'spec', field, 'name') === name);
  const pools = (): ObjectName[] => informers.pools.store.list().map(({ metadata }) => ({ name: metadata.name }));
  const reconcile = reconcileModelProvider(deps.modelProvider, deps.settings);
  const ofOwner = (object: BuiltIn): ObjectName[] => controllerName(object, MODEL_PROVIDER.kind);

  const modelProviderController = manager.controller({
    name: 'modelprovider',
    watches: [
      informers.modelProviders.names(),
      ...Object.values(informers.children).map((informer) => informer.names(ofOwner)),
      informers.pods.names(({ metadata }) => {
        const name = metadata.labels?.[LABEL_MODEL_PROVIDER];
        return name === undefined ? [] : [{ namespace: metadata.namespace, name }];
      }),
      informers.markets.names(({ metadata }) => referring('marketRef', metadata.name)),
      informers.pools.names(({ metadata }) => referring('poolRef', metadata.name)),
      informers.namespaces.names(({ metadata }) => providers((object) => object.metadata.namespace === metadata.name)),
    ],
    reconcile: ({ namespace = '', name }) => reconcile({ namespace, name }),
  });

  manager.controller({
    name: 'gpunodepool',
    concurrency: 1,
    watches: [
      informers.pools.names(),
      informers.nodes.names(pools),
      // Only pods that take an extended resource move a count.
      informers.pods.names((pod) => (takesExtended(pod) ? pools() : [])),
    ],
    async reconcile({ name }) {
      const observed = observePool(cluster, deps.modelProvider.nowMs(), name);
      if (observed !== undefined) await cluster.writePoolStatus(name, decidePool(observed).status);
      return {};
    },
  });

  manager.controller({
    name: 'market',
    concurrency: 4,
    watches: [informers.markets.names()],
    async reconcile({ name }) {
      const observed = await observeMarket(deps.market, name);
      if (observed === undefined) return {};
      const { status, lookAgainInMs } = decideMarket(observed);
      await cluster.writeMarketStatus(name, status);
      return { lookAgainInMs };
    },
  });

  const wake = (keep: (object: BuiltIn) => boolean): void => {
    for (const name of providers(keep)) modelProviderController.enqueue(name);
  };
  return {
    edgeChanged: (namespace, edge) =>
      wake((object) => object.metadata.namespace === namespace && fieldAt(object, 'spec', 'edgeRef', 'name') === edge),
    modelChanged: (modelId) => wake((object) => fieldAt(object, 'status', 'onChain', 'modelId') === `0x${modelId}`),
  };
};

const takesExtended = (pod: BuiltIn): boolean =>
  ['containers', 'initContainers'].some((list) => {
    const containers = fieldAt(pod, 'spec', list);
    return (
      Array.isArray(containers) &&
      containers.some((container: unknown) =>
        ['requests', 'limits'].some((kind) =>
          Object.keys((fieldAt(container, 'resources', kind) as object | undefined) ?? {}).some((name) => name.includes('/')),
        ),
      )
    );
  });
