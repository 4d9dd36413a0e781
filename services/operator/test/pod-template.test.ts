import { expect, test } from 'vitest';

import { modelProvider } from '@cupel/protocol/crd/objects';
import type { ModelProvider } from '@cupel/protocol/crd/objects';

import { custom } from '../src/engines/custom.ts';
import { integer } from '../src/engines/integer.ts';
import { readPodTemplate } from '../src/reconcilers/modelprovider/pod-template.ts';
import { renderChildren } from '../src/reconcilers/modelprovider/render.ts';
import { settings, specOf } from './twin.ts';

const container = (fields: object): object => ({
  spec: { containers: [{ name: 'engine', ...fields }], volumes: [{ name: 'v', emptyDir: {} }] },
});

const forbidden: [string, object, string][] = [
  ['host network', { spec: { hostNetwork: true } }, '.spec.hostNetwork'],
  ['service account', { spec: { serviceAccountName: 'default' } }, '.spec.serviceAccountName'],
  ['init container', { spec: { initContainers: [] } }, '.spec.initContainers'],
  ['security context', { spec: { securityContext: {} } }, '.spec.securityContext'],
  ['second container', { spec: { containers: [{ name: 'engine' }, { name: 'spy' }] } }, '.spec.containers'],
  ['other container', { spec: { containers: [{ name: 'spy' }] } }, '.spec.containers'],
  ['command', container({ command: ['sh'] }), '.spec.containers[0].command'],
  ['container security', container({ securityContext: { privileged: true } }), '.spec.containers[0].securityContext'],
  ['lifecycle', container({ lifecycle: {} }), '.spec.containers[0].lifecycle'],
  ['hostPath', { spec: { volumes: [{ name: 'v', hostPath: { path: '/' } }] } }, '.spec.volumes[0].hostPath'],
  ['projected token', { spec: { volumes: [{ name: 'v', projected: {} }] } }, '.spec.volumes[0].projected'],
  ['our volume', { spec: { volumes: [{ name: 'cupel-models', emptyDir: {} }] } }, '.spec.volumes[0].name'],
  [
    'mount over the models',
    container({ volumeMounts: [{ name: 'v', mountPath: '/models/x' }] }),
    '.spec.containers[0].volumeMounts[0].mountPath',
  ],
  ['mount above them', container({ volumeMounts: [{ name: 'v', mountPath: '/run' }] }), '.spec.containers[0].volumeMounts[0].mountPath'],
  [
    'mount of our volume',
    container({ volumeMounts: [{ name: 'cupel-models', mountPath: '/x' }] }),
    '.spec.containers[0].volumeMounts[0].name',
  ],
  [
    'climbing mount',
    container({ volumeMounts: [{ name: 'v', mountPath: '/x/../models' }] }),
    '.spec.containers[0].volumeMounts[0].mountPath',
  ],
  ['our environment', container({ env: [{ name: 'MODEL_DIR', value: '/x' }] }), '.spec.containers[0].env[0]'],
  [
    'accelerators by the back door',
    container({ resources: { limits: { 'nvidia.com/gpu': 1 } } }),
    '.spec.containers[0].resources.limits["nvidia.com/gpu"]',
  ],
  ['claims', container({ resources: { claims: [] } }), '.spec.containers[0].resources.claims'],
  // A pod that looks like an edge would pass the NetworkPolicy of every engine.
  [
    'label of an edge',
    { metadata: { labels: { 'app.kubernetes.io/component': 'router' } } },
    '.metadata.labels["app.kubernetes.io/component"]',
  ],
  ['our label', { metadata: { labels: { 'cupel.dev/edge': 'edge' } } }, '.metadata.labels["cupel.dev/edge"]'],
  [
    'apparmor',
    { metadata: { annotations: { 'container.apparmor.security.beta.kubernetes.io/engine': 'unconfined' } } },
    '.metadata.annotations',
  ],
  ['owner', { metadata: { ownerReferences: [] } }, '.metadata.ownerReferences'],
  ['not an object', { spec: [] }, '.spec'],
  ['top level', { status: {} }, '.status'],
];

test.each(forbidden)('forbidden: %s', (_name, template, field) => {
  const result = readPodTemplate(template as Record<string, unknown>);
  expect(result).toMatchObject({ ok: false, message: expect.stringContaining(`spec.podTemplate${field}`) as string });
});

const objectWith = (spec: Record<string, unknown>): ModelProvider =>
  modelProvider.parse({ metadata: { name: 'digits', namespace: 'honest', uid: 'u1', generation: 1 }, spec: specOf(spec) }) as ModelProvider;

const pool = {
  apiVersion: 'cupel.dev/v1alpha1' as const,
  kind: 'GPUNodePool',
  metadata: { name: 'p', uid: 'p', generation: 1 },
  spec: {
    nodeSelector: { matchLabels: { gpu: 'a100' } },
    accelerator: { vendor: 'NVIDIA' as const, resourceName: 'nvidia.com/gpu' },
    tolerations: [{ key: 'gpu', operator: 'Exists' as const }],
    allowedNamespaces: { from: 'All' as const },
  },
};

const podOf = (spec: Record<string, unknown>, withPool = false) => {
  const object = objectWith(spec);
  const template = readPodTemplate(object.spec.podTemplate);
  if (!template.ok) throw new Error(template.message);
  const adapter = object.spec.engine.type === 'Custom' ? custom : integer;
  const { children } = renderChildren({
    object,
    adapter,
    images: settings.images,
    pool: withPool ? pool : undefined,
    additions: template.additions,
    digest: settings.digest,
  });
  const deployment = children.find(({ kind }) => kind === 'Deployment')!;
  return { children, pod: (deployment['spec'] as { template: { metadata: Fields; spec: Fields } }).template };
};
type Fields = Record<string, unknown>;

test('what is allowed gets into the pod, and what is ours stays ours', () => {
  const { pod } = podOf({
    podTemplate: {
      metadata: { labels: { team: 'a' }, annotations: { note: 'x' } },
      spec: {
        priorityClassName: 'high',
        volumes: [{ name: 'cache', emptyDir: {} }],
        containers: [
          {
            name: 'engine',
            env: [{ name: 'THREADS', value: '4' }],
            resources: { limits: { memory: '2Gi' } },
            volumeMounts: [{ name: 'cache', mountPath: '/cache' }],
          },
        ],
      },
    },
  });
  expect(pod.metadata['labels']).toMatchObject({ team: 'a', 'cupel.dev/modelprovider': 'digits' });
  expect(pod.spec).toMatchObject({ priorityClassName: 'high', automountServiceAccountToken: false, serviceAccountName: 'digits-engine' });
  const [engine] = pod.spec['containers'] as Fields[];
  expect(engine).toMatchObject({
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '2Gi' } },
    command: ['node', 'services/integer-engine/src/main.ts'],
    image: 'cupel:1',
    securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
  });
  expect(engine?.['env']).toContainEqual({ name: 'THREADS', value: '4' });
  expect(engine?.['env']).toContainEqual({ name: 'MODEL_DIR', value: '/models' });
});

test('an image of the user keeps its own entry point, and may not overwrite the contract', () => {
  const { pod } = podOf({
    engine: {
      type: 'Custom',
      image: 'mine:1',
      env: [
        { name: 'LIE', value: '1' },
        { name: 'PORT', value: '1' },
      ],
    },
  });
  const [engine] = pod.spec['containers'] as { image: string; command?: unknown; env: { name: string; value: string }[] }[];
  expect(engine?.image).toBe('mine:1');
  expect(engine?.command).toBeUndefined();
  expect(engine?.env.filter(({ name }) => name === 'PORT')).toEqual([{ name: 'PORT', value: '8000' }]);
});

test('the pool gives accelerators, taints and nodes; terms of the user are narrowed, not widened', () => {
  const terms = [{ matchExpressions: [{ key: 'zone', operator: 'In', values: ['a'] }] }, { matchFields: [] }];
  const { pod } = podOf(
    {
      accelerator: { count: 2 },
      poolRef: { name: 'p' },
      podTemplate: {
        spec: { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } } },
      },
    },
    true,
  );
  const [engine] = pod.spec['containers'] as Fields[];
  expect(engine?.['resources']).toMatchObject({ limits: { 'nvidia.com/gpu': '2' }, requests: { 'nvidia.com/gpu': '2' } });
  expect(pod.spec['tolerations']).toEqual([{ key: 'gpu', operator: 'Exists' }]);
  const ours = { key: 'gpu', operator: 'In', values: ['a100'] };
  expect(pod.spec['affinity']).toMatchObject({
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [terms[0]?.matchExpressions?.[0], ours] }, { matchExpressions: [ours] }],
      },
    },
  });
});

test('only pods of the named edge may open the engine, and the engine may open nothing', () => {
  const { children } = podOf({});
  expect(children.find(({ kind }) => kind === 'NetworkPolicy')?.['spec']).toEqual({
    podSelector: { matchLabels: { 'cupel.dev/modelprovider': 'digits' } },
    policyTypes: ['Ingress', 'Egress'],
    ingress: [
      {
        from: [
          {
            podSelector: {
              matchLabels: { 'app.kubernetes.io/name': 'cupel', 'app.kubernetes.io/component': 'router', 'cupel.dev/edge': 'edge' },
            },
          },
        ],
        ports: [{ protocol: 'TCP', port: 8000 }],
      },
    ],
    egress: [],
  });
});
