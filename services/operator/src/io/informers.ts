import type { Informer } from '@cupel/kube/informer';
import type { Manager } from '@cupel/kube/manager';
import { deployments, namespaces, networkPolicies, nodes, pods, serviceAccounts, services } from '@cupel/kube/resource';
import type { BuiltIn } from '@cupel/kube/resource';
import { LABEL_MODEL_PROVIDER } from '@cupel/protocol/crd/definition';

import type { Child } from '../reconcilers/modelprovider/plan.ts';
import { ANNOTATION_TEMPLATE } from '../reconcilers/modelprovider/render.ts';
import { gpuNodePools, markets, modelProviders } from './resources.ts';

type Objects = Informer<BuiltIn>;

export interface Informers {
  readonly modelProviders: Objects;
  readonly pools: Objects;
  readonly markets: Objects;
  readonly namespaces: Objects;
  readonly nodes: Objects;
  /** Of the whole cluster: whoever takes an accelerator counts. Trimmed. */
  readonly pods: Objects;
  readonly deployments: Objects;
  readonly children: Readonly<Record<Child['kind'], Objects>>;
}

const OURS = { labelSelector: 'app.kubernetes.io/managed-by=cupel-operator' };

export const createInformers = (manager: Manager, watchNamespaces: readonly string[]): Informers => {
  const scope = { namespaces: watchNamespaces };
  const children = {
    ServiceAccount: manager.informer(serviceAccounts, { ...scope, ...OURS }),
    NetworkPolicy: manager.informer(networkPolicies, { ...scope, ...OURS }),
    Service: manager.informer(services, { ...scope, ...OURS }),
    Deployment: manager.informer(deployments, { ...scope, ...OURS }),
  };
  return {
    modelProviders: manager.informer(modelProviders, scope),
    pools: manager.informer(gpuNodePools),
    markets: manager.informer(markets),
    namespaces: manager.informer(namespaces),
    nodes: manager.informer(nodes, { trim: trimNode }),
    pods: manager.informer(pods, {
      trim: trimPod,
      indexers: {
        node: ({ spec }) => (typeof spec?.['nodeName'] === 'string' ? [spec['nodeName']] : []),
        provider: ({ metadata }) => {
          const name = metadata.labels?.[LABEL_MODEL_PROVIDER];
          return name === undefined ? [] : [`${metadata.namespace ?? ''}/${name}`];
        },
      },
    }),
    deployments: children.Deployment,
    children,
  };
};

const pick = (fields: unknown, names: readonly string[]): Record<string, unknown> =>
  typeof fields === 'object' && fields !== null ? Object.fromEntries(Object.entries(fields).filter(([name]) => names.includes(name))) : {};

const containersOf = (value: unknown): unknown[] =>
  Array.isArray(value) ? value.map((item) => pick(item, ['name', 'resources', 'restartPolicy'])) : [];

/** A cluster has many pods, and of most only node and resources matter. */
const trimPod = (pod: BuiltIn): BuiltIn => {
  const template = pod.metadata.annotations?.[ANNOTATION_TEMPLATE];
  return {
    apiVersion: pod.apiVersion,
    kind: pod.kind,
    metadata: { ...pod.metadata, annotations: template === undefined ? {} : { [ANNOTATION_TEMPLATE]: template } },
    spec: {
      ...pick(pod.spec, ['nodeName']),
      containers: containersOf(pod.spec?.['containers']),
      initContainers: containersOf(pod.spec?.['initContainers']),
    },
    status:
      pod.metadata.labels?.[LABEL_MODEL_PROVIDER] === undefined
        ? pick(pod.status, ['phase'])
        : pick(pod.status, ['phase', 'conditions', 'initContainerStatuses', 'containerStatuses']),
  };
};

const trimNode = (node: BuiltIn): BuiltIn => ({
  ...node,
  metadata: { ...node.metadata, annotations: {} },
  spec: pick(node.spec, ['unschedulable']),
  status: pick(node.status, ['capacity', 'allocatable', 'conditions']),
});
