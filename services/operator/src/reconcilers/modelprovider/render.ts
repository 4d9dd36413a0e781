import type { GpuNodePool, ModelProvider } from '@cupel/protocol/crd/objects';
import { LABEL_EDGE, LABEL_MODEL_PROVIDER } from '@cupel/protocol/crd/definition';

import type { EngineAdapter, Images } from '../../engines/engine.ts';
import type { Child } from './plan.ts';
import { poolPlacement } from './placement.ts';
import type { Fields, PodAdditions } from './pod-template.ts';

export const ENGINE_PORT = 8000;
/** On pods: a digest of the pod template, by which pods of an older template are told apart. */
export const ANNOTATION_TEMPLATE = 'cupel.dev/template';
export const MODELS_PATH = '/models';
const RUN_PATH = '/run/cupel';
const NOBODY = 65_532;

export const childName = (name: string): string => `${name}-engine`;
export const engineUrl = (namespace: string, name: string): string => `http://${childName(name)}.${namespace}.svc:${ENGINE_PORT}`;

export const selectorLabels = (name: string): Record<string, string> => ({ [LABEL_MODEL_PROVIDER]: name });
export const selectorText = (name: string): string => `${LABEL_MODEL_PROVIDER}=${name}`;

const commonLabels = (name: string): Record<string, string> => ({
  'app.kubernetes.io/name': 'cupel-engine',
  'app.kubernetes.io/instance': name,
  'app.kubernetes.io/component': 'engine',
  'app.kubernetes.io/part-of': 'cupel',
  'app.kubernetes.io/managed-by': 'cupel-operator',
  ...selectorLabels(name),
});

const restricted = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  capabilities: { drop: ['ALL'] },
};

export interface RenderInput {
  readonly object: ModelProvider;
  readonly adapter: EngineAdapter;
  readonly images: Images;
  readonly pool: GpuNodePool | undefined;
  readonly additions: PodAdditions;
  /** 16 hex digits over a text: names the pod template. */
  readonly digest: (text: string) => string;
}

export interface Rendered {
  readonly children: readonly Child[];
  readonly template: string;
}

/** The children of one ModelProvider as server-side apply bodies; a function of the spec and the pool alone. */
export const renderChildren = (input: RenderInput): Rendered => {
  const { object } = input;
  const { name } = object.metadata;
  const namespace = object.metadata.namespace ?? '';
  const metadata = {
    name: childName(name),
    namespace,
    labels: commonLabels(name),
    ownerReferences: [
      {
        apiVersion: object.apiVersion,
        kind: object.kind,
        name,
        uid: object.metadata.uid,
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  };
  const podSpec = renderPod(input);
  const template = input.digest(JSON.stringify(podSpec));
  const edgeOnly = {
    podSelector: {
      matchLabels: {
        'app.kubernetes.io/name': 'cupel',
        'app.kubernetes.io/component': 'router',
        [LABEL_EDGE]: object.spec.edgeRef.name,
      },
    },
  };
  return {
    template,
    children: [
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata, automountServiceAccountToken: false },
      {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata,
        spec: {
          podSelector: { matchLabels: selectorLabels(name) },
          policyTypes: ['Ingress', 'Egress'],
          ingress: [{ from: [edgeOnly], ports: [{ protocol: 'TCP', port: ENGINE_PORT }] }],
          egress: [],
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata,
        spec: {
          type: 'ClusterIP',
          selector: selectorLabels(name),
          ports: [{ name: 'http', protocol: 'TCP', port: ENGINE_PORT, targetPort: ENGINE_PORT }],
        },
      },
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata,
        spec: {
          replicas: object.spec.replicas,
          revisionHistoryLimit: 3,
          selector: { matchLabels: selectorLabels(name) },
          // A pool is rarely so empty that a second copy fits beside the first.
          strategy: {
            type: 'RollingUpdate',
            rollingUpdate: acceleratorCount(object) > 0 ? { maxSurge: 0, maxUnavailable: 1 } : { maxSurge: 1, maxUnavailable: 0 },
          },
          template: {
            metadata: {
              labels: { ...input.additions.labels, ...commonLabels(name) },
              annotations: { ...input.additions.annotations, [ANNOTATION_TEMPLATE]: template },
            },
            spec: podSpec,
          },
        },
      },
    ],
  };
};

export const acceleratorCount = (object: ModelProvider): number => object.spec.accelerator?.count ?? 0;

const renderPod = ({ object, adapter, images, pool, additions }: RenderInput): Fields => {
  const { spec, metadata } = object;
  const pvc = spec.model.source.pvc;
  if (pvc === undefined) throw new Error('only spec.model.source.pvc can be rendered');
  const models = { name: 'cupel-models', mountPath: MODELS_PATH, readOnly: true, ...(pvc.path === '' ? {} : { subPath: pvc.path }) };
  const run = { name: 'cupel-run', mountPath: RUN_PATH };
  const { ready, live } = adapter.probes(spec.verification.mode);
  const probe = (path: string): Fields => ({ httpGet: { path, port: ENGINE_PORT, scheme: 'HTTP' }, timeoutSeconds: 3 });
  return {
    serviceAccountName: childName(metadata.name),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 30,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: NOBODY,
      runAsGroup: NOBODY,
      fsGroup: NOBODY,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    ...additions.podSpec,
    ...poolPlacement(pool, additions.podSpec),
    // Every byte that the engine will load is hashed here, before the engine starts, from the same read-only mount.
    initContainers: [
      {
        name: 'verify',
        image: images.verify,
        command: ['node', 'services/operator/src/cli/verify-manifest.ts'],
        args: [
          '--dir',
          MODELS_PATH,
          '--manifest-sha256',
          spec.model.manifest.sha256,
          '--mode',
          spec.verification.mode,
          '--run-dir',
          RUN_PATH,
          '--pod-uid',
          '$(POD_UID)',
        ],
        env: [{ name: 'POD_UID', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.uid' } } }],
        resources: { requests: { cpu: '50m', memory: '64Mi' } },
        securityContext: restricted,
        terminationMessagePath: '/dev/termination-log',
        terminationMessagePolicy: 'File',
        volumeMounts: [models, run],
      },
    ],
    containers: [
      {
        name: 'engine',
        ...(spec.engine.image === undefined
          ? { image: adapter.image(images), ...(adapter.command === undefined ? {} : { command: adapter.command }) }
          : { image: spec.engine.image }),
        ...(spec.engine.args === undefined ? {} : { args: spec.engine.args }),
        env: [
          ...additions.env,
          ...(spec.engine.env ?? []).filter(({ name }) => !/^(PORT|MODEL|MODEL_DIR|CUPEL_.*)$/.test(name)),
          { name: 'PORT', value: String(ENGINE_PORT) },
          { name: 'MODEL_DIR', value: MODELS_PATH },
          { name: 'CUPEL_MODEL_NAME', value: spec.model.name },
          ...adapter.env(),
        ],
        ports: [{ name: 'http', containerPort: ENGINE_PORT, protocol: 'TCP' }],
        resources: resourcesOf(object, pool, additions.resources),
        securityContext: restricted,
        // Loading may take long: liveness starts only when the engine has been ready once.
        startupProbe: { ...probe(ready.path), periodSeconds: 1, failureThreshold: 3600 },
        readinessProbe: { ...probe(ready.path), periodSeconds: 2, failureThreshold: 3 },
        livenessProbe: { ...probe(live.path), periodSeconds: 10, failureThreshold: 10 },
        volumeMounts: [models, { ...run, readOnly: true }, { name: 'cupel-tmp', mountPath: '/tmp' }, ...additions.volumeMounts],
      },
    ],
    volumes: [
      { name: 'cupel-models', persistentVolumeClaim: { claimName: pvc.claimName, readOnly: true } },
      { name: 'cupel-run', emptyDir: { sizeLimit: '1Mi' } },
      { name: 'cupel-tmp', emptyDir: {} },
      ...additions.volumes,
    ],
  };
};

const resourcesOf = (object: ModelProvider, pool: GpuNodePool | undefined, wanted: Fields | undefined): Fields => {
  const requests = { cpu: '100m', memory: '128Mi', ...(wanted?.['requests'] as Fields | undefined) };
  const limits = wanted?.['limits'] as Fields | undefined;
  const count = acceleratorCount(object);
  const accelerators = pool !== undefined && count > 0 ? { [pool.spec.accelerator.resourceName]: String(count) } : {};
  return {
    requests: { ...requests, ...accelerators },
    ...(limits === undefined && count === 0 ? {} : { limits: { ...limits, ...accelerators } }),
  };
};
