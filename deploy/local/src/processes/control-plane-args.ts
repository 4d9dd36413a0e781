import { join } from 'node:path';

/** Addresses that Services are given. */
export const serviceCidr = '10.96.0.0/16';

// The clients' default limits (20 to 50 requests a second) would make 160 pods take 10 s instead of 2 s.
const clientLimits = ['--kube-api-qps=500', '--kube-api-burst=1000'];

/** etcd without fsync: what it holds survives the death of a process, not of the machine; a local cluster needs no more. */
export function etcdArgs(options: { dataDir: string; clientPort: number; peerPort: number }): string[] {
  const client = `http://127.0.0.1:${options.clientPort}`;
  const peer = `http://127.0.0.1:${options.peerPort}`;
  return [
    `--data-dir=${options.dataDir}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    '--unsafe-no-fsync',
    '--log-level=warn',
  ];
}

/** API server with the default admission plugins (PodSecurity and ValidatingAdmissionPolicy among them) and NodeRestriction. */
export function apiServerArgs(options: {
  address: string;
  port: number;
  etcdUrl: string;
  certificates: string;
  scratch: string;
  audit?: { policyPath: string; logPath: string };
}): string[] {
  const file = (name: string): string => join(options.certificates, name);
  const args = [
    `--etcd-servers=${options.etcdUrl}`,
    `--bind-address=${options.address}`,
    `--advertise-address=${options.address}`,
    `--secure-port=${options.port}`,
    `--tls-cert-file=${file('apiserver.crt')}`,
    `--tls-private-key-file=${file('apiserver.key')}`,
    `--client-ca-file=${file('ca.crt')}`,
    `--service-cluster-ip-range=${serviceCidr}`,
    '--allow-privileged=true',
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${file('service-account.pub')}`,
    `--service-account-signing-key-file=${file('service-account.key')}`,
    `--requestheader-client-ca-file=${file('ca.crt')}`,
    '--requestheader-allowed-names=front-proxy',
    '--requestheader-username-headers=X-Remote-User',
    '--requestheader-group-headers=X-Remote-Group',
    '--requestheader-extra-headers-prefix=X-Remote-Extra-',
    `--kubelet-client-certificate=${file('apiserver-kubelet-client.crt')}`,
    `--kubelet-client-key=${file('apiserver-kubelet-client.key')}`,
    '--kubelet-preferred-address-types=InternalIP',
    // Endpoints refuse loopback addresses, so the API server cannot publish itself there.
    `--endpoint-reconciler-type=${options.address.startsWith('127.') ? 'none' : 'lease'}`,
    `--cert-dir=${options.scratch}`,
  ];
  if (options.audit !== undefined)
    args.push(`--audit-policy-file=${options.audit.policyPath}`, `--audit-log-path=${options.audit.logPath}`);
  return args;
}

export function controllerManagerArgs(options: {
  kubeconfigPath: string;
  certificates: string;
  port: number;
  scratch: string;
  podCidr?: string;
}): string[] {
  const file = (name: string): string => join(options.certificates, name);
  const args = [
    ...credentials(options.kubeconfigPath),
    `--root-ca-file=${file('ca.crt')}`,
    `--service-account-private-key-file=${file('service-account.key')}`,
    '--use-service-account-credentials',
    `--cluster-signing-cert-file=${file('ca.crt')}`,
    `--cluster-signing-key-file=${file('ca.key')}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${options.port}`,
    `--cert-dir=${options.scratch}`,
    '--leader-elect=false',
    // A volume that is made after its claim would otherwise wait for up to 15 s.
    '--pvclaimbinder-sync-period=1s',
    ...clientLimits,
  ];
  if (options.podCidr !== undefined) args.push('--allocate-node-cidrs', `--cluster-cidr=${options.podCidr}`);
  return args;
}

export function schedulerArgs(options: { kubeconfigPath: string; port: number; scratch: string }): string[] {
  return [
    ...credentials(options.kubeconfigPath),
    '--bind-address=127.0.0.1',
    `--secure-port=${options.port}`,
    `--cert-dir=${options.scratch}`,
    '--leader-elect=false',
    ...clientLimits,
  ];
}

function credentials(kubeconfigPath: string): string[] {
  return [
    `--kubeconfig=${kubeconfigPath}`,
    `--authentication-kubeconfig=${kubeconfigPath}`,
    `--authorization-kubeconfig=${kubeconfigPath}`,
  ];
}
