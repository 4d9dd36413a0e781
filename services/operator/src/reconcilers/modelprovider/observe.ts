import { z } from 'zod';

import { condition } from '@cupel/protocol/crd/fields';
import { gpuNodePool, market as marketSchema, modelProvider, objectMeta } from '@cupel/protocol/crd/objects';
import type { Market, ModelProvider } from '@cupel/protocol/crd/objects';
import type { Hex } from '@cupel/protocol/hex';

import { ANNOTATION_TEMPLATE, acceleratorCount, childName } from './render.ts';
import type { Observed, ObservedChain, ObservedKey, ObservedObject, ObservedPod, ObservedWorkload } from './observed.ts';
import { ChainNotReadable } from './ports.ts';
import type { ModelProviderPorts, ObjectKey } from './ports.ts';

/** Reads everything that a decision on this object needs; undefined: it is gone. The only reader of the world. */
export const observe = async (ports: ModelProviderPorts, name: ObjectKey): Promise<Observed | undefined> => {
  const raw = ports.cluster.modelProvider(name);
  if (raw === undefined) return undefined;
  const object = parseObject(raw);
  const common = {
    nowMs: ports.nowMs(),
    namespace: name.namespace,
    name: name.name,
    object,
    ownNamespace: readNamespace(ports.cluster.namespace(name.namespace)),
  };
  const workload = readWorkload(ports.cluster.deployment({ ...name, name: childName(name.name) }), ports.cluster.pods(name));
  if (!object.valid) {
    const none: Hex = `0x${'00'.repeat(32)}`;
    const key: ObservedKey = { state: 'missing', message: 'not looked for' };
    return {
      ...common,
      modelId: none,
      market: undefined,
      pool: undefined,
      key,
      workload,
      chain: { state: 'unasked' },
      engine: undefined,
      answer: { state: 'unasked' },
    };
  }
  const { spec } = object.value;
  const owner = spec.identity.ownerAddress.toLowerCase() as Hex;
  const modelId = ports.modelId(owner, `${name.namespace}/${name.name}`);
  const market = marketSchema.safeParse(ports.cluster.market(spec.marketRef.name));
  const pool = acceleratorCount(object.value) > 0 ? gpuNodePool.safeParse(ports.cluster.pool(spec.poolRef?.name ?? '')) : undefined;
  const key = await ports.cluster.operatorKey({ namespace: name.namespace, ...spec.identity.operatorKeyRef });
  const template = workload.deployment?.template;
  return {
    ...common,
    modelId,
    market: market.data,
    pool: pool?.data,
    key,
    workload,
    chain: await readChain(ports, market.data, owner, modelId, key),
    engine: await ports.engines.get(name.namespace, spec.edgeRef.name, modelId),
    answer: template === undefined ? { state: 'unasked' } : ports.probes.last(name, template),
  };
};

const readChain = async (
  ports: ModelProviderPorts,
  market: Market | undefined,
  owner: Hex,
  modelId: Hex,
  key: ObservedKey,
): Promise<ObservedChain> => {
  if (market === undefined) return { state: 'unasked' };
  try {
    const account = key.state === 'present' ? key.address : undefined;
    return { state: 'read', ...(await ports.chain.entry(market, { owner, modelId, account })) };
  } catch (error) {
    if (error instanceof ChainNotReadable) return { state: 'unreachable', message: error.message };
    throw error;
  }
};

const invalidParts = z.object({
  metadata: objectMeta,
  status: z.object({ conditions: z.array(condition).catch([]) }).catch({ conditions: [] }),
});

const parseObject = (raw: unknown): ObservedObject => {
  const parsed = modelProvider.safeParse(raw);
  if (parsed.success) return { valid: true, value: parsed.data as ModelProvider };
  const { metadata, status } = invalidParts.parse(raw);
  const issue = parsed.error.issues[0];
  return {
    valid: false,
    meta: metadata,
    conditions: status.conditions,
    message: `${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? 'invalid'}`,
  };
};

const namespaceShape = z.object({
  metadata: z.object({ labels: z.record(z.string(), z.string()).default({}), deletionTimestamp: z.string().optional() }),
});

const readNamespace = (raw: unknown): Observed['ownNamespace'] => {
  const parsed = namespaceShape.safeParse(raw);
  return parsed.success
    ? { labels: parsed.data.metadata.labels, terminating: parsed.data.metadata.deletionTimestamp !== undefined }
    : { labels: {}, terminating: false };
};

const annotations = z.object({ annotations: z.record(z.string(), z.string()).default({}) });

const deploymentShape = z.object({
  metadata: z.object({ generation: z.number().default(0) }),
  spec: z.object({ template: z.object({ metadata: annotations }) }),
  status: z
    .object({
      observedGeneration: z.number().default(0),
      replicas: z.number().default(0),
      readyReplicas: z.number().default(0),
      updatedReplicas: z.number().default(0),
      availableReplicas: z.number().default(0),
    })
    .prefault({}),
});

const containerState = z.object({
  terminated: z.object({ exitCode: z.number(), message: z.string().default('') }).optional(),
  waiting: z.object({ reason: z.string().default(''), message: z.string().default('') }).optional(),
});

const containerStatus = z.object({
  name: z.string(),
  state: containerState.prefault({}),
  lastState: containerState.prefault({}),
});

const podShape = z.object({
  metadata: annotations.extend({ name: z.string(), uid: z.string().default(''), deletionTimestamp: z.string().optional() }),
  spec: z.object({ nodeName: z.string().optional() }).prefault({}),
  status: z
    .object({
      phase: z.string().default('Pending'),
      conditions: z
        .array(z.object({ type: z.string(), status: z.string(), reason: z.string().optional(), message: z.string().optional() }))
        .default([]),
      initContainerStatuses: z.array(containerStatus).default([]),
      containerStatuses: z.array(containerStatus).default([]),
    })
    .prefault({}),
});

const readWorkload = (rawDeployment: unknown, rawPods: readonly unknown[]): ObservedWorkload => {
  const deployment = deploymentShape.safeParse(rawDeployment);
  return {
    deployment: deployment.success
      ? {
          template: deployment.data.spec.template.metadata.annotations[ANNOTATION_TEMPLATE],
          observed: deployment.data.status.observedGeneration >= deployment.data.metadata.generation,
          replicas: deployment.data.status.replicas,
          ready: deployment.data.status.readyReplicas,
          updated: deployment.data.status.updatedReplicas,
          available: deployment.data.status.availableReplicas,
        }
      : undefined,
    pods: rawPods
      .flatMap((raw) => {
        const pod = podShape.safeParse(raw);
        return pod.success && pod.data.status.phase !== 'Succeeded' && pod.data.status.phase !== 'Failed' ? [readPod(pod.data)] : [];
      })
      .toSorted((a, b) => (a.uid < b.uid ? -1 : 1)),
  };
};

const readPod = ({ metadata, spec, status }: z.output<typeof podShape>): ObservedPod => {
  const verify = status.initContainerStatuses.find(({ name }) => name === 'verify');
  const ended = verify?.state.terminated ?? verify?.lastState.terminated;
  const unscheduled = status.conditions.find(({ type, status: state }) => type === 'PodScheduled' && state === 'False');
  const stuck = [...status.initContainerStatuses, ...status.containerStatuses].find(
    ({ state }) =>
      state.waiting !== undefined && state.waiting.reason !== 'PodInitializing' && state.waiting.reason !== 'ContainerCreating',
  );
  const waiting =
    unscheduled !== undefined
      ? `${unscheduled.reason ?? 'Unschedulable'}: ${unscheduled.message ?? ''}`
      : stuck === undefined
        ? undefined
        : `container ${stuck.name}: ${stuck.state.waiting?.reason ?? ''}`;
  return {
    name: metadata.name,
    uid: metadata.uid,
    template: metadata.annotations[ANNOTATION_TEMPLATE],
    nodeName: spec.nodeName,
    ready: status.conditions.some(({ type, status: state }) => type === 'Ready' && state === 'True'),
    deleting: metadata.deletionTimestamp !== undefined,
    waiting: waiting?.slice(0, 400),
    verify: ended === undefined ? undefined : { exitCode: ended.exitCode, message: ended.message },
  };
};
