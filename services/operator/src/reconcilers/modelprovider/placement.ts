import type { GpuNodePool } from '@cupel/protocol/crd/objects';
import type { LabelSelector } from '@cupel/protocol/crd/fields';

import type { Fields } from './pod-template.ts';

const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** A LabelSelector as requirements of a node affinity term. */
const requirements = (selector: LabelSelector): Fields[] => [
  ...Object.entries(selector.matchLabels ?? {}).map(([key, value]) => ({ key, operator: 'In', values: [value] })),
  ...(selector.matchExpressions ?? []).map(({ key, operator, values }) => ({ key, operator, ...(values?.length ? { values } : {}) })),
];

/**
 * The pool's nodes and taints, added to what the pod template asks for: terms of a node affinity are alternatives, so the pool's requirements go
 * into each of them.
 */
export const poolPlacement = (pool: GpuNodePool | undefined, podSpec: Fields): Fields => {
  if (pool === undefined) return {};
  const affinity = fieldsOf(podSpec['affinity']);
  const nodeAffinity = fieldsOf(affinity['nodeAffinity']);
  const wanted = listOf(fieldsOf(nodeAffinity['requiredDuringSchedulingIgnoredDuringExecution'])['nodeSelectorTerms']).map(fieldsOf);
  const ours = requirements(pool.spec.nodeSelector);
  const terms = (wanted.length === 0 ? [{}] : wanted).map((term) => ({
    ...term,
    matchExpressions: [...listOf(fieldsOf(term)['matchExpressions']), ...ours],
  }));
  return {
    affinity: {
      ...affinity,
      nodeAffinity: { ...nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } },
    },
    tolerations: [...listOf(podSpec['tolerations']), ...(pool.spec.tolerations ?? [])],
  };
};

/** Whether a selector takes an object with these labels (metav1.LabelSelector; an empty one takes all). */
export const selects = (selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean =>
  Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
  (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labels[key];
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
    }
  });
