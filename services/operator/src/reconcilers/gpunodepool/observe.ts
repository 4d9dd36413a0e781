import { z } from 'zod';

import { gpuNodePool } from '@cupel/protocol/crd/objects';
import type { GpuNodePool } from '@cupel/protocol/crd/objects';

import { selects } from '../modelprovider/placement.ts';

export interface PoolReader {
  pool(name: string): unknown;
  nodes(): readonly unknown[];
  /** Pods bound to this node. */
  podsOn(node: string): readonly unknown[];
}

export interface ObservedPool {
  readonly nowMs: number;
  readonly object: GpuNodePool;
  readonly nodes: readonly ObservedNode[];
}

export interface ObservedNode {
  readonly name: string;
  /** Ready, and not cordoned. */
  readonly ready: boolean;
  readonly capacity: number;
  readonly allocatable: number;
  /** Of pods on this node that have not ended. */
  readonly requested: number;
}

const quantities = z.record(z.string(), z.union([z.string(), z.number()])).default({});

const nodeShape = z.object({
  metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) }),
  spec: z.object({ unschedulable: z.boolean().default(false) }).prefault({}),
  status: z
    .object({
      capacity: quantities,
      allocatable: quantities,
      conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
    })
    .prefault({}),
});

const container = z.object({
  restartPolicy: z.string().optional(),
  resources: z.object({ requests: quantities, limits: quantities }).prefault({}),
});

const podShape = z.object({
  spec: z.object({ containers: z.array(container).default([]), initContainers: z.array(container).default([]) }).prefault({}),
  status: z.object({ phase: z.string().default('Pending') }).prefault({}),
});

/** Extended resources are whole numbers; anything else counts as none. */
const whole = (quantity: string | number | undefined): number => {
  const n = Number(quantity ?? 0);
  return Number.isSafeInteger(n) && n > 0 ? n : 0;
};

/** What a pod takes of one resource: the sum of its containers and sidecars, or the largest init container when that is more. */
export const podRequest = (raw: unknown, resource: string): number => {
  const pod = podShape.safeParse(raw);
  if (!pod.success || pod.data.status.phase === 'Succeeded' || pod.data.status.phase === 'Failed') return 0;
  const of = ({ resources }: z.output<typeof container>): number => whole(resources.requests[resource] ?? resources.limits[resource]);
  const { containers, initContainers } = pod.data.spec;
  const sidecars = initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always');
  const steps = initContainers.filter(({ restartPolicy }) => restartPolicy !== 'Always');
  const running = [...containers, ...sidecars].reduce((sum, item) => sum + of(item), 0);
  return Math.max(running, ...steps.map(of));
};

export const observePool = (reader: PoolReader, nowMs: number, name: string): ObservedPool | undefined => {
  const object = gpuNodePool.safeParse(reader.pool(name));
  if (!object.success) return undefined;
  const { nodeSelector, accelerator } = object.data.spec;
  const nodes = reader.nodes().flatMap((raw): ObservedNode[] => {
    const node = nodeShape.safeParse(raw);
    if (!node.success || !selects(nodeSelector, node.data.metadata.labels)) return [];
    const { metadata, spec, status } = node.data;
    return [
      {
        name: metadata.name,
        ready: !spec.unschedulable && status.conditions.some(({ type, status: state }) => type === 'Ready' && state === 'True'),
        capacity: whole(status.capacity[accelerator.resourceName]),
        allocatable: whole(status.allocatable[accelerator.resourceName]),
        requested: reader.podsOn(metadata.name).reduce<number>((sum, pod) => sum + podRequest(pod, accelerator.resourceName), 0),
      },
    ];
  });
  return { nowMs, object: object.data as GpuNodePool, nodes };
};
