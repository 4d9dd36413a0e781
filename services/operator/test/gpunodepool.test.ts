import fc from 'fast-check';
import { expect, test } from 'vitest';

import { decidePool } from '../src/reconcilers/gpunodepool/decide.ts';
import { observePool, podRequest } from '../src/reconcilers/gpunodepool/observe.ts';

const GPU = 'nvidia.com/gpu';
const pool = {
  metadata: { name: 'p', generation: 2 },
  spec: { nodeSelector: { matchLabels: { pool: 'a' } }, accelerator: { vendor: 'NVIDIA', resourceName: GPU } },
};
const node = (name: string, capacity: number, allocatable = capacity, changes: object = {}) => ({
  metadata: { name, labels: { pool: 'a' } },
  status: {
    capacity: { [GPU]: String(capacity) },
    allocatable: { [GPU]: String(allocatable) },
    conditions: [{ type: 'Ready', status: 'True' }],
  },
  ...changes,
});
const pod = (count: number, phase = 'Running') => ({
  spec: { containers: [{ resources: { limits: { [GPU]: String(count) } } }] },
  status: { phase },
});

const statusOf = (nodes: object[], pods: Record<string, object[]> = {}) => {
  const observed = observePool(
    { pool: () => pool, nodes: () => nodes, podsOn: (name) => pods[name] ?? [] },
    Date.parse('2026-11-24T12:00:00Z'),
    'p',
  );
  return decidePool(observed!).status;
};

test('counts what is bound and has not ended', () => {
  const status = statusOf([node('a', 8), node('b', 4, 3)], { a: [pod(2), pod(1, 'Succeeded'), pod(1, 'Failed')], b: [pod(3)] });
  expect(status.accelerators).toEqual({ capacity: 12, allocatable: 11, allocated: 5, free: 6, unhealthy: 1 });
  expect(status.nodes).toEqual({ total: 2, ready: 2 });
  expect(status.conditions?.[0]).toMatchObject({ type: 'Ready', status: 'True', observedGeneration: 2 });
});

test('cordoned, broken and foreign nodes offer nothing', () => {
  const cordoned = { ...node('a', 8), spec: { unschedulable: true } };
  const broken = {
    ...node('b', 8),
    status: { capacity: { [GPU]: '8' }, allocatable: { [GPU]: '8' }, conditions: [{ type: 'Ready', status: 'Unknown' }] },
  };
  const foreign = { ...node('c', 8), metadata: { name: 'c', labels: { pool: 'b' } } };
  const status = statusOf([cordoned, broken, foreign]);
  expect(status.accelerators).toMatchObject({ capacity: 16, allocatable: 0, free: 0 });
  expect(status.conditions?.[0]).toMatchObject({ status: 'False', reason: 'NoReadyNodes' });
  expect(statusOf([]).conditions?.[0]).toMatchObject({ reason: 'NoNodes' });
  expect(statusOf([node('a', 0)]).conditions?.[0]).toMatchObject({ reason: 'NoAccelerators' });
});

test('an init container counts when it asks for more, a sidecar is added', () => {
  const limits = (n: number) => ({ resources: { limits: { [GPU]: n } } });
  expect(podRequest({ spec: { containers: [limits(1), limits(2)], initContainers: [limits(5)] } }, GPU)).toBe(5);
  expect(podRequest({ spec: { containers: [limits(1)], initContainers: [{ ...limits(1), restartPolicy: 'Always' }] } }, GPU)).toBe(2);
  expect(podRequest({ spec: { containers: [{ resources: { limits: { [GPU]: '-3' } } }] } }, GPU)).toBe(0);
});

test('free is never negative and never more than allocatable, whatever is bound', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ capacity: fc.nat(16), broken: fc.nat(16), pods: fc.array(fc.nat(8), { maxLength: 5 }) }), { maxLength: 6 }),
      (spec) => {
        const nodes = spec.map(({ capacity, broken }, i) => node(`n${i}`, capacity, Math.max(0, capacity - broken)));
        const pods = Object.fromEntries(spec.map(({ pods: counts }, i) => [`n${i}`, counts.map((count) => pod(count))]));
        const { accelerators } = statusOf(nodes, pods);
        const bound = spec.flatMap(({ pods: counts }) => counts).reduce((a, b) => a + b, 0);
        expect(accelerators!.allocated).toBe(bound);
        expect(accelerators!.free).toBeGreaterThanOrEqual(0);
        expect(accelerators!.free).toBeLessThanOrEqual(accelerators!.allocatable);
        expect(accelerators!.free).toBeGreaterThanOrEqual(accelerators!.allocatable - bound);
      },
    ),
  );
});
