import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { type ClientName, createCertificates, kubeconfig } from '../certificates.ts';
import { run } from '../command.ts';
import { toolFolder } from '../tools.ts';
import { type Child, freePorts, startChild, waitUntil } from './child.ts';
import { apiServerArgs, controllerManagerArgs, etcdArgs, schedulerArgs } from './control-plane-args.ts';
import { scratchFolder } from './scratch.ts';

export interface ControlPlaneOptions {
  /** Keeps data, certificates and logs; absent: a temporary folder, removed by `stop`. */
  readonly folder?: string;
  /** Address of the API server; default 127.0.0.1. */
  readonly address?: string;
  /** Port of the API server; absent: a free one. */
  readonly port?: number;
  /** Controller manager and scheduler; default true. Without them nothing creates Pods, default service accounts or garbage-collects. */
  readonly controllers?: boolean;
  /** Hands pod networks to nodes; only for a control plane with a real node. */
  readonly podCidr?: string;
  /** Makes credentials for this node's kubelet. */
  readonly nodeName?: string;
  /** Writes every request at Metadata level to `<folder>/audit.log`, one JSON object a line. */
  readonly auditLog?: boolean;
}

export interface ControlPlane extends AsyncDisposable {
  /** `https://<address>:<port>` */
  readonly server: string;
  /** Cluster administrator. */
  readonly kubeconfigPath: string;
  readonly folder: string;
  readonly auditLogPath: string;
  /** Certificates and keys, see certificates.ts. */
  readonly certificatesFolder: string;
  /** Writes a kubeconfig for another identity and returns its path. */
  writeKubeconfig(client: ClientName): Promise<string>;
  /** Runs kubectl as administrator and returns its stdout. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** The programs, by name, for tests that kill one. */
  readonly children: ReadonlyMap<string, Child>;
  /** Kills a program unless it is dead already, and starts it again with the same arguments: what a supervisor does after a crash. */
  restart(name: string): Promise<void>;
  stop(): Promise<void>;
}

const startTimeoutMs = 60_000;

/**
 * Starts etcd, the API server, the controller manager and the scheduler as plain processes; needs no root. Takes 3 to 4 s.
 * @throws naming the program that did not come up, with the end of its log.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const tools = await toolFolder('kube');
  const folder = options.folder ?? (await scratchFolder('kube'));
  const address = options.address ?? '127.0.0.1';
  const certificates = join(folder, 'certificates');
  const logs = join(folder, 'logs');
  await mkdir(logs, { recursive: true });
  await createCertificates(certificates, [address], options.nodeName);
  const [etcdPort = 0, peerPort = 0, freeApiPort = 0, managerPort = 0, schedulerPort = 0] = await freePorts(5);
  const port = options.port ?? freeApiPort;
  const server = `https://${address}:${port}`;
  const ca = await readFile(join(certificates, 'ca.crt'), 'utf8');
  const auditLogPath = join(folder, 'audit.log');
  const auditPolicyPath = join(folder, 'audit-policy.json');
  if (options.auditLog === true) await writeFile(auditPolicyPath, auditPolicy);

  const writeKubeconfig = async (client: ClientName): Promise<string> => {
    const path = join(folder, `${client}.kubeconfig`);
    await writeFile(path, await kubeconfig(certificates, client, server), { mode: 0o600 });
    return path;
  };
  const kubeconfigPath = await writeKubeconfig('admin');
  const children = new Map<string, Child>();
  const starters = new Map<string, () => Promise<void>>();
  const start = async (name: string, args: readonly string[], ready: () => Promise<boolean>): Promise<void> => {
    starters.set(name, () => start(name, args, ready));
    const child = await startChild({ name, command: join(tools, name), args, logPath: join(logs, `${name}.log`), cwd: folder });
    children.set(name, child);
    await waitUntil(child, 'ready', startTimeoutMs, ready);
  };
  const stop = async (): Promise<void> => {
    // The API server goes before its store, or it waits for what is gone.
    for (const name of ['kube-scheduler', 'kube-controller-manager', 'kube-apiserver', 'etcd'])
      await children.get(name)?.stop(name === 'kube-apiserver' ? 500 : 3000);
    if (options.folder === undefined) await rm(folder, { recursive: true, force: true });
  };
  try {
    const etcd = etcdArgs({ dataDir: join(folder, 'etcd'), clientPort: etcdPort, peerPort });
    await start('etcd', etcd, async () => (await fetch(`http://127.0.0.1:${etcdPort}/health`)).ok);
    const apiServer = apiServerArgs({
      address,
      port,
      certificates,
      etcdUrl: `http://127.0.0.1:${etcdPort}`,
      scratch: join(folder, 'apiserver'),
      ...(options.auditLog === true ? { audit: { policyPath: auditPolicyPath, logPath: auditLogPath } } : {}),
    });
    await start('kube-apiserver', apiServer, async () => (await get(`${server}/readyz`, ca)) === 'ok');
    if (options.controllers !== false) {
      const manager = controllerManagerArgs({
        kubeconfigPath: await writeKubeconfig('controller-manager'),
        certificates,
        port: managerPort,
        scratch: join(folder, 'controller-manager'),
        ...(options.podCidr === undefined ? {} : { podCidr: options.podCidr }),
      });
      const scheduler = schedulerArgs({
        kubeconfigPath: await writeKubeconfig('scheduler'),
        port: schedulerPort,
        scratch: join(folder, 'scheduler'),
      });
      // Both serve self-signed certificates on loopback; only their health is asked.
      await Promise.all([
        start('kube-controller-manager', manager, async () => (await get(`https://127.0.0.1:${managerPort}/healthz`)) === 'ok'),
        start('kube-scheduler', scheduler, async () => (await get(`https://127.0.0.1:${schedulerPort}/readyz`)) === 'ok'),
      ]);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    server,
    kubeconfigPath,
    folder,
    auditLogPath,
    certificatesFolder: certificates,
    writeKubeconfig,
    kubectl: (args, input) => run(join(tools, 'kubectl'), ['--kubeconfig', kubeconfigPath, ...args], input === undefined ? {} : { input }),
    children,
    restart: async (name) => {
      const starter = starters.get(name);
      if (starter === undefined) throw new Error(`no program ${name}; there are ${[...starters.keys()].join(', ')}`);
      await children.get(name)?.kill();
      await starter();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

const auditPolicy = JSON.stringify({
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Metadata' }],
});

/** Body of a GET over TLS. Without `ca` the certificate is not checked. */
async function get(url: string, ca?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = ca === undefined ? { rejectUnauthorized: false } : { ca };
    const outgoing = request(url, { ...options, timeout: 2000 }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve(body));
      response.on('error', reject);
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('timeout')));
    outgoing.on('error', reject);
    outgoing.end();
  });
}
