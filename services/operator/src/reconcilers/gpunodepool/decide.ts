import type { GpuNodePoolStatus } from '@cupel/protocol/crd/gpu-node-pool';

import { conditionsFrom } from '../conditions.ts';
import type { Found } from '../conditions.ts';
import type { ObservedNode, ObservedPool } from './observe.ts';

export interface PoolPlan {
  readonly status: GpuNodePoolStatus;
}

/**
 * Counts from what is there, never by adding and subtracting: after any restart the numbers are those of the bound pods, and `free` is never
 * negative.
 */
export const decidePool = (o: ObservedPool): PoolPlan => {
  const sum = (of: (node: ObservedNode) => number): number => o.nodes.reduce((total, node) => total + of(node), 0);
  const ready = o.nodes.filter((node) => node.ready);
  const accelerators = {
    capacity: sum((node) => node.capacity),
    allocatable: ready.reduce((total, node) => total + node.allocatable, 0),
    allocated: sum((node) => node.requested),
    // Per node: what is overcommitted on one must not eat what is free on another.
    free: ready.reduce((total, node) => total + Math.max(0, node.allocatable - node.requested), 0),
    unhealthy: sum((node) => Math.max(0, node.capacity - node.allocatable)),
  };
  const { generation } = o.object.metadata;
  const found = judge(o, ready.length, accelerators.allocatable);
  return {
    status: {
      observedGeneration: generation,
      nodes: { total: o.nodes.length, ready: ready.length },
      accelerators,
      conditions: conditionsFrom(o.object.status?.conditions, [found], generation, o.nowMs),
    },
  };
};

const judge = (o: ObservedPool, ready: number, allocatable: number): Found => {
  const { resourceName } = o.object.spec.accelerator;
  const not = (reason: string, message: string): Found => ({ type: 'Ready', status: 'False', reason, message });
  if (o.nodes.length === 0) return not('NoNodes', 'spec.nodeSelector selects no node; label the nodes or correct the selector');
  if (ready === 0) return not('NoReadyNodes', `none of ${o.nodes.length} nodes is Ready and schedulable; look at kubectl get nodes`);
  if (allocatable === 0) return not('NoAccelerators', `no ready node offers ${resourceName}; is its device plugin running?`);
  return { type: 'Ready', status: 'True', reason: 'Available', message: `${ready} of ${o.nodes.length} nodes are ready` };
};
