/** Plain Kubernetes objects of the local stage: namespaces, volumes, NATS and anvil. Cupel itself comes by its charts only. */

export const NAMESPACES = ['chain', 'nats', 'cupel-system', 'gateway', 'honest', 'cheat'] as const;

export const namespace = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted', 'pod-security.kubernetes.io/warn': 'restricted' } },
});

export const secret = (ns: string, name: string, stringData: Readonly<Record<string, string>>) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace: ns },
  type: 'Opaque',
  stringData,
});

export const STORAGE_CLASS = 'cupel-prebound';

export const storageClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: STORAGE_CLASS },
  provisioner: 'kubernetes.io/no-provisioner',
  volumeBindingMode: 'Immediate',
};

/** A folder of the node as a volume, bound in advance to one claim. */
export const localVolume = (
  ns: string,
  claim: string,
  path: string,
  node: string,
  access: 'ReadWriteOnce' | 'ReadOnlyMany',
  size: string,
) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name: `${ns}-${claim}` },
  spec: {
    capacity: { storage: size },
    accessModes: [access],
    persistentVolumeReclaimPolicy: 'Retain',
    storageClassName: STORAGE_CLASS,
    claimRef: { namespace: ns, name: claim },
    local: { path },
    nodeAffinity: {
      required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] }] },
    },
  },
});

export const claim = (ns: string, name: string, size: string) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name, namespace: ns },
  spec: { accessModes: ['ReadOnlyMany'], storageClassName: STORAGE_CLASS, resources: { requests: { storage: size } } },
});

const restricted = { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } };
const podSecurity = { runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, seccompProfile: { type: 'RuntimeDefault' } };

const server = (ns: string, name: string, container: object, port: number, volumes: readonly object[]) => [
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: ns, labels: { app: name } },
    spec: {
      replicas: 1,
      strategy: { type: 'Recreate' },
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 2,
          securityContext: podSecurity,
          containers: [{ name, imagePullPolicy: 'Never', securityContext: restricted, ...container }],
          volumes,
        },
      },
    },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: ns },
    spec: { selector: { app: name }, ports: [{ name, port, targetPort: port }] },
  },
];

/** A development chain: one block a second, two slots to finality, no account but its published ones. */
export const anvil = (image: string, chainId: number) =>
  server(
    'chain',
    'anvil',
    {
      image,
      args: [
        '--host',
        '0.0.0.0',
        '--port',
        '8545',
        '--chain-id',
        String(chainId),
        '--block-time',
        '1',
        '--slots-in-an-epoch',
        '1',
        '--quiet',
      ],
      ports: [{ name: 'rpc', containerPort: 8545 }],
      readinessProbe: { tcpSocket: { port: 8545 }, periodSeconds: 1 },
      resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '1Gi' } },
      volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
    },
    8545,
    [{ name: 'tmp', emptyDir: {} }],
  );

/** One server, two accounts that export nothing to each other: the cluster's and the gateway's. Its configuration is a Secret. */
export const nats = (image: string) =>
  server(
    'nats',
    'nats',
    {
      image,
      args: ['--config', '/etc/nats/nats.conf'],
      ports: [{ name: 'nats', containerPort: 4222 }],
      readinessProbe: { tcpSocket: { port: 4222 }, periodSeconds: 1 },
      resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '512Mi' } },
      volumeMounts: [
        { name: 'config', mountPath: '/etc/nats', readOnly: true },
        { name: 'data', mountPath: '/data' },
      ],
    },
    4222,
    [
      { name: 'config', secret: { secretName: 'nats-config', defaultMode: 0o440 } },
      { name: 'data', emptyDir: {} },
    ],
  );
