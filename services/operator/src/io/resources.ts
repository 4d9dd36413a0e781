import { GROUP, VERSION } from '@cupel/protocol/crd/definition';
import type { KindDefinition } from '@cupel/protocol/crd/definition';
import { GPU_NODE_POOL } from '@cupel/protocol/crd/gpu-node-pool';
import { MARKET } from '@cupel/protocol/crd/market';
import { MODEL_PROVIDER } from '@cupel/protocol/crd/model-provider';
import { defineResource } from '@cupel/kube/resource';
import type { BuiltIn } from '@cupel/kube/resource';

const ours = ({ kind, plural, scope }: KindDefinition) =>
  defineResource<BuiltIn>({ group: GROUP, version: VERSION, kind, plural, namespaced: scope === 'Namespaced' });

export const modelProviders = ours(MODEL_PROVIDER);
export const gpuNodePools = ours(GPU_NODE_POOL);
export const markets = ours(MARKET);

const rbac = (kind: string, plural: string) =>
  defineResource<BuiltIn>({ group: 'rbac.authorization.k8s.io', version: 'v1', kind, plural, namespaced: true });

export const roles = rbac('Role', 'roles');
export const roleBindings = rbac('RoleBinding', 'rolebindings');
