import { z } from 'zod';

import { ageColumn, conditionColumn, shortName } from './definition.ts';
import type { KindDefinition } from './definition.ts';
import { allowedNamespaces, cel, conditions, count, free, labelSelector, observedGeneration, text, word } from './fields.ts';

const toleration = z
  .object({
    key: free(317, 'Key of the taint; empty matches all with operator Exists.').optional(),
    operator: z.enum(['Exists', 'Equal']).meta({ description: 'How the value is compared.' }).optional(),
    value: free(63, 'Value of the taint.').optional(),
    effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).meta({ description: 'Effect of the taint.' }).optional(),
    tolerationSeconds: z.number().int().meta({ description: 'How long NoExecute is tolerated.', format: 'int64' }).optional(),
  })
  .meta({ description: 'A taint that pods of the pool tolerate.' });

export const gpuNodePoolSpec = z
  .object({
    nodeSelector: labelSelector('Which nodes belong to the pool.').meta({
      ...cel({
        rule: '(has(self.matchLabels) && self.matchLabels.size() > 0) || (has(self.matchExpressions) && self.matchExpressions.size() > 0)',
        message: 'nodeSelector must not be empty: it would take every node; give a label',
      }),
    }),
    accelerator: z
      .object({
        vendor: z.enum(['NVIDIA', 'AMD', 'Intel']).meta({ description: 'Maker.' }),
        resourceName: text(
          317,
          /^[a-z0-9.-]+\/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/,
          'accelerator.resourceName must be an extended resource such as "nvidia.com/gpu"',
          'Extended resource that the device plugin announces.',
        ),
        products: z
          .array(word(100, /^\S.*$/, 'Product.'))
          .max(32)
          .meta({ description: 'Products in the pool.', 'x-kubernetes-list-type': 'set' })
          .optional(),
        minMemory: text(
          20,
          /^[0-9]+(Ki|Mi|Gi|Ti)?$/,
          'accelerator.minMemory must be a quantity such as "24Gi"',
          'Least memory.',
        ).optional(),
      })
      .meta({ description: 'What the nodes carry.' }),
    tolerations: z
      .array(toleration)
      .max(32)
      .meta({ description: 'Taints that pods of the pool tolerate.', 'x-kubernetes-list-type': 'atomic' })
      .optional(),
    allowedNamespaces: allowedNamespaces.prefault({ from: 'All' }),
  })
  .meta({ description: 'Which nodes, and who may use them.' });

export const gpuNodePoolStatus = z
  .object({
    observedGeneration: observedGeneration.optional(),
    nodes: z
      .object({ total: count('Nodes selected.'), ready: count('Of these: Ready and schedulable.') })
      .meta({ description: 'Nodes.' })
      .optional(),
    accelerators: z
      .object({
        capacity: count('What the nodes have.', 10_000_000),
        allocatable: count('What the device plugins offer on ready nodes.', 10_000_000),
        allocated: count('Sum over bound pods that have not ended.', 10_000_000),
        free: count('allocatable − allocated, never below 0.', 10_000_000),
        unhealthy: count('capacity − allocatable, of all nodes.', 10_000_000),
      })
      .meta({ description: 'Accelerators.' })
      .optional(),
    conditions: conditions.optional(),
  })
  .meta({ description: 'What is.' });

export const GPU_NODE_POOL: KindDefinition = {
  kind: 'GPUNodePool',
  plural: 'gpunodepools',
  singular: 'gpunodepool',
  shortNames: ['gnp'],
  scope: 'Cluster',
  description: 'A set of nodes with like accelerators, on which ModelProviders are placed.',
  spec: gpuNodePoolSpec,
  status: gpuNodePoolStatus,
  rules: [shortName],
  columns: [
    conditionColumn('Ready', 'Ready', 'status', 'Whether pods can be placed.'),
    conditionColumn('Reason', 'Ready', 'reason', 'Why, in one word.'),
    { name: 'Resource', type: 'string', jsonPath: '.spec.accelerator.resourceName', description: 'Extended resource.' },
    { name: 'Nodes', type: 'integer', jsonPath: '.status.nodes.ready', description: 'Ready nodes.' },
    { name: 'Allocatable', type: 'integer', jsonPath: '.status.accelerators.allocatable', description: 'Accelerators offered.' },
    { name: 'Free', type: 'integer', jsonPath: '.status.accelerators.free', description: 'Accelerators free.' },
    ageColumn,
  ],
};

export type GpuNodePoolSpec = z.output<typeof gpuNodePoolSpec>;
export type GpuNodePoolStatus = z.output<typeof gpuNodePoolStatus>;
