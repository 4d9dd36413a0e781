import { z } from 'zod';

import { API_VERSION } from './definition.ts';
import { GPU_NODE_POOL, gpuNodePoolSpec, gpuNodePoolStatus } from './gpu-node-pool.ts';
import { MARKET, marketSpec, marketStatus } from './market.ts';
import { MODEL_PROVIDER, modelProviderSpec, modelProviderStatus } from './model-provider.ts';

/** The part of metadata that we read. */
export const objectMeta = z.object({
  name: z.string(),
  namespace: z.string().optional(),
  uid: z.string().default(''),
  resourceVersion: z.string().optional(),
  generation: z.number().int().default(0),
  creationTimestamp: z.string().optional(),
  deletionTimestamp: z.string().optional(),
  finalizers: z.array(z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  labels: z.record(z.string(), z.string()).optional(),
});

const objectOf = <S extends z.ZodType, T extends z.ZodType>(kind: string, spec: S, status: T) =>
  z.object({
    apiVersion: z.literal(API_VERSION).default(API_VERSION),
    kind: z.literal(kind).default(kind),
    metadata: objectMeta,
    spec,
    status: status.optional(),
  });

export const modelProvider = objectOf(MODEL_PROVIDER.kind, modelProviderSpec, modelProviderStatus);
export const gpuNodePool = objectOf(GPU_NODE_POOL.kind, gpuNodePoolSpec, gpuNodePoolStatus);
export const market = objectOf(MARKET.kind, marketSpec, marketStatus);

export type ObjectMeta = z.output<typeof objectMeta>;
export type ModelProvider = z.output<typeof modelProvider>;
export type GpuNodePool = z.output<typeof gpuNodePool>;
export type Market = z.output<typeof market>;
