import { join } from 'node:path';

/** Every fixed number of the cluster's private network. */
export const nodeAddress = '10.200.9.2';
export const apiServerPort = 6443;
export const podCidr = '10.244.0.0/16';
export const dnsAddress = '10.96.0.10';
export const nodeName = 'cupel-local';

/** Inside the namespace, where /run belongs to the cluster alone; short, since a socket's path may have 107 bytes at most. */
export const containerdSocket = '/run/containerd.sock';

/** containerd 1.6 configuration: everything in `folder`, no AppArmor, no capability beyond those of an ordinary container root. */
export function containerdConfig(options: { folder: string; cniPlugins: string; pauseImage: string; rootless: boolean }): string {
  const path = (name: string): string => JSON.stringify(join(options.folder, name));
  return `version = 2
root = ${path('containerd')}
state = "/run/containerd"
[grpc]
  address = "${containerdSocket}"
[plugins."io.containerd.internal.v1.opt"]
  path = ${path('opt')}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = ${JSON.stringify(options.pauseImage)}
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true${options.rootless ? '\n  disable_cgroup = true' : ''}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = ${JSON.stringify(options.cniPlugins)}
    conf_dir = ${path('cni')}
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
`;
}

/** Pod network: a routed pair of interfaces per pod, so that every packet passes the node's forward hook and policies need no bridge. */
export function cniConfig(folder: string): string {
  const subnet = podCidr.replace('/16', '/24');
  const ipam = {
    type: 'host-local',
    dataDir: join(folder, 'cni-addresses'),
    ranges: [[{ subnet }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  return JSON.stringify({ cniVersion: '0.4.0', name: 'pods', plugins: [{ type: 'ptp', ipMasq: false, ipam }] });
}

/** KubeletConfiguration, as JSON. In a user namespace (KEP-2033) no cgroup may be written. */
export function kubeletConfig(options: { folder: string; certificates: string; cgroup: string; rootless: boolean }): string {
  return JSON.stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: join(options.certificates, 'ca.crt') },
    },
    authorization: { mode: 'Webhook' },
    clusterDNS: [dnsAddress],
    clusterDomain: 'cluster.local',
    cgroupDriver: 'cgroupfs',
    ...(options.rootless
      ? { featureGates: { KubeletInUserNamespace: true }, cgroupsPerQOS: false, enforceNodeAllocatable: [] }
      : { cgroupRoot: options.cgroup }),
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0,
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    resolvConf: join(options.folder, 'resolv.conf'),
    podLogsDir: join(options.folder, 'pod-logs'),
    volumePluginDir: join(options.folder, 'volume-plugins'),
    // Images come from archives only; collected garbage could not be pulled again.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%' },
    kubeAPIQPS: 500,
    kubeAPIBurst: 1000,
    eventRecordQPS: 0,
    syncFrequency: '10s',
    // Look often, so that GPUs show at once; write only what has changed.
    nodeStatusUpdateFrequency: '1s',
    nodeStatusReportFrequency: '5m',
  });
}

/** KubeProxyConfiguration, as JSON. The conntrack zeros leave sysctls alone that a network namespace may not write. */
export function proxyConfig(kubeconfigPath: string): string {
  return JSON.stringify({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clusterCIDR: podCidr,
    hostnameOverride: nodeName,
    oomScoreAdj: 0,
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    // The default gathers changes for a second: a Service would refuse connections for that long after its pod is ready.
    nftables: { minSyncPeriod: '100ms' },
    clientConnection: { kubeconfig: kubeconfigPath, qps: 100, burst: 200 },
  });
}

/** A `local` PersistentVolume on the node, of the default class. */
export function localVolume(name: string, folder: string, options: { readOnly?: boolean; capacity?: string } = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name, labels: { 'app.kubernetes.io/part-of': 'cupel-local' } },
    spec: {
      capacity: { storage: options.capacity ?? '1Gi' },
      accessModes: options.readOnly === true ? ['ReadOnlyMany'] : ['ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: storageClassName,
      local: { path: folder },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [nodeName] }] }],
        },
      },
    },
  };
}

export const storageClassName = 'local';

/** The default StorageClass: a claim waits for its pod and takes one of the prepared volumes. */
export const storageClass: object = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: storageClassName, annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  provisioner: 'kubernetes.io/no-provisioner',
  volumeBindingMode: 'WaitForFirstConsumer',
};
