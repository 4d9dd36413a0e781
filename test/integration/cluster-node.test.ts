import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, up } from '@cupel/local/cluster';
import { preflight } from '@cupel/local/preflight';

// Without root there is no node; the reason is part of the skipped test's name.
const failed = (await preflight('cluster')).filter(({ ok }) => !ok);
const reason = failed.length === 0 ? '' : ` (skipped: ${failed.map(({ name, found }) => `${name}: ${found}`).join('; ')})`;

const commandLine = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
};

describe.skipIf(failed.length > 0)(`the embedded cluster${reason}`, () => {
  let cluster: Cluster;
  let stateFolder = '';

  beforeAll(async () => {
    stateFolder = await mkdtemp(join(tmpdir(), 'cupel-node-test-'));
    cluster = await up({ stateFolder, images: ['cupel'], gpus: 2 });
    await create([
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'test', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'web', namespace: 'test' },
        spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http' }] },
      },
      pod('web', server),
      pod('friend', server),
      pod('stranger', server),
    ]);
    await cluster.kubectl(['-n', 'test', 'wait', '--for=condition=Ready', 'pod', '--all', '--timeout=60s']);
  });

  afterAll(async () => {
    await cluster.stop();
    await rm(stateFolder, { recursive: true, force: true });
  });

  const server = "require('http').createServer((q, r) => r.end('hello')).listen(8080)";
  const pod = (name: string, script: string, resources: object = {}): object => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'test', labels: { app: name } },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'main',
          image: cluster.images['cupel'],
          imagePullPolicy: 'Never',
          args: ['-e', script],
          ports: [{ name: 'http', containerPort: 8080 }],
          resources,
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            runAsNonRoot: true,
            runAsUser: 1000,
            capabilities: { drop: ['ALL'] },
            seccompProfile: { type: 'RuntimeDefault' },
          },
        },
      ],
    },
  });
  const create = (objects: object[]): Promise<string> =>
    cluster.kubectl(['create', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n'));
  const policy = (name: string, spec: object): object => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: 'test' },
    spec,
  });
  // The exit matters: a connection that is still being tried holds the process for 10 s more.
  /** What a pod hears from a URL: the body, or the name of the failure. */
  const hear = async (from: string, url: string): Promise<string> => {
    const script = `fetch('${url}', { signal: AbortSignal.timeout(1000) }).then((r) => r.text()).then(console.log, (e) => console.log(e.cause?.code ?? e.name)).then(() => process.exit())`;
    return (await cluster.kubectl(['-n', 'test', 'exec', from, '--', 'node', '-e', script])).trim();
  };
  /** The enforcer needs a moment; asks until the answer is the wanted one. */
  const eventually = async (wanted: string, ask: () => Promise<string>): Promise<void> => {
    for (let attempt = 0; attempt < 20; attempt += 1) {
      if ((await ask()) === wanted) return;
      await sleep(100);
    }
    expect(await ask()).toBe(wanted);
  };
  const web = 'http://web.test.svc.cluster.local';

  it('resolves names, balances Services and lets us in from outside', async () => {
    await eventually('hello', () => hear('friend', web));
    const { url } = await cluster.exposeService('test', 'web', 80);
    expect(await (await fetch(url)).text()).toBe('hello');
    expect(await cluster.exposeService('test', 'web', 80)).toEqual({ port: Number(new URL(url).port), url });
  });

  it('refuses pods that are not restricted', async () => {
    await expect(cluster.kubectl(['-n', 'test', 'run', 'x', '--image=x'])).rejects.toThrow('violates PodSecurity "restricted');
  });

  it('counts GPUs: a pod that wants more than there are stays Pending', async () => {
    await create([
      pod('two', 'console.log(process.env.FAKE_GPU_IDS); setInterval(() => undefined, 1e6)', { limits: { 'nvidia.com/gpu': '2' } }),
    ]);
    await cluster.kubectl(['-n', 'test', 'wait', '--for=condition=Ready', 'pod/two', '--timeout=30s']);
    expect(await cluster.kubectl(['-n', 'test', 'logs', 'two'])).toMatch(/^GPU-fake-[01],GPU-fake-[01]\n$/);
    await create([pod('one-more', server, { limits: { 'nvidia.com/gpu': '1' } })]);
    await cluster.kubectl(['-n', 'test', 'wait', '--for=condition=PodScheduled=false', 'pod/one-more', '--timeout=30s']);
  });

  it('enforces network policies in both directions, also towards the API server', async () => {
    const api = 'https://10.96.0.1/readyz';
    const webAddress = await cluster.kubectl(['-n', 'test', 'get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}']);
    expect(await hear('friend', `http://${webAddress}`)).toBe('hello');
    await create([policy('deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] })]);
    // By address: a name that cannot be looked up would hold the asking process for half a minute.
    await eventually('TimeoutError', () => hear('friend', `http://${webAddress}`));
    expect(await hear('stranger', `http://${webAddress}`)).toBe('TimeoutError');
    await create([
      policy('dns', {
        podSelector: {},
        policyTypes: ['Egress'],
        egress: [
          {
            to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } } }],
            ports: [{ port: 'dns', protocol: 'UDP' }],
          },
        ],
      }),
      policy('in', {
        podSelector: { matchLabels: { app: 'web' } },
        ingress: [{ from: [{ podSelector: { matchLabels: { app: 'friend' } } }], ports: [{ port: 'http' }] }],
      }),
      policy('out', { podSelector: {}, policyTypes: ['Egress'], egress: [{ to: [{ podSelector: { matchLabels: { app: 'web' } } }] }] }),
    ]);
    await eventually('hello', () => hear('friend', web));
    expect(await hear('stranger', web)).toBe('TimeoutError');
    expect(await hear('friend', api)).toBe('TimeoutError');
    const toApi = { to: [{ ipBlock: { cidr: '10.200.9.2/32' } }], ports: [{ port: 6443 }] };
    await create([policy('api', { podSelector: { matchLabels: { app: 'friend' } }, policyTypes: ['Egress'], egress: [toApi] })]);
    await eventually('UNABLE_TO_VERIFY_LEAF_SIGNATURE', () => hear('friend', api));
    expect(await hear('stranger', api)).toBe('TimeoutError');
  });

  it('goes on when its API server is killed', async () => {
    const servers = readdirSync('/proc').filter(
      (pid) => /^\d+$/.test(pid) && /\/kube-apiserver\0/.test(commandLine(pid)) && commandLine(pid).includes(stateFolder),
    );
    expect(servers).toHaveLength(1);
    process.kill(Number(servers[0]), 'SIGKILL');
    await eventually('', () => cluster.kubectl(['get', 'namespaces', '--request-timeout=2s']).then(() => '', String));
  });

  it('leaves no process, mount or cgroup when it is killed', async () => {
    const status = await cluster.status();
    process.kill(status.clusterPid, 'SIGKILL');
    await cluster.stop();
    const groups = readdirSync('/sys/fs/cgroup').filter((name) => existsSync(join('/sys/fs/cgroup', name, status.cgroup)));
    expect(groups).toEqual([]);
    expect(existsSync(`/proc/${status.clusterPid}`)).toBe(false);
    expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(stateFolder);
    const commands = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(`${stateFolder}/`));
    expect(commands).toEqual([]);
  });
});
