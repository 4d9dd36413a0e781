import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { Bus } from '@cupel/bus/bus';
import { connectBus } from '@cupel/bus/connection';
import { renderAccounts } from '@cupel/bus/nats-config';
import { loadModel, run } from '@cupel/integer/run';
import { createClient } from '@cupel/kube/client';
import type { Client } from '@cupel/kube/client';
import { loadKubeConfig } from '@cupel/kube/credentials';
import { createTransport } from '@cupel/kube/transport';
import { startAnvil } from '@cupel/local/processes/anvil';
import type { Anvil } from '@cupel/local/processes/anvil';
import { freePorts, startChild } from '@cupel/local/processes/child';
import type { Child } from '@cupel/local/processes/child';
import { startControlPlane } from '@cupel/local/processes/control-plane';
import type { ControlPlane } from '@cupel/local/processes/control-plane';
import { startNats } from '@cupel/local/processes/nats';
import type { Nats } from '@cupel/local/processes/nats';
import { toolBinary } from '@cupel/local/tools';
import { bytesToHex, hexToBytes } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import { probeRequest } from '@cupel/protocol/wire/bus';
import { edgeScope, probeSubject } from '@cupel/protocol/wire/subjects';
import { memoryLogger } from '@cupel/testing/logger';
import { deployTestMarket } from '@cupel/testing/market';
import type { TestMarket } from '@cupel/testing/market';
import { eventually } from '@cupel/testing/wait';

import { startPodRunner } from './pod-runner.ts';

const ROOT = join(import.meta.dirname, '../../..');
export const DIGITS = join(ROOT, 'models/digits');
const PASSWORD = 'a-password-of-20-ch.';
export const NAMESPACES = ['honest', 'doomed'] as const;

/** Anvil accounts. */
export const OWNER = 1;
export const OPERATOR = 2;
export const DOOMED_OWNER = 3;
export const DOOMED_OPERATOR = 4;

export interface World extends AsyncDisposable {
  readonly plane: ControlPlane;
  readonly client: Client;
  readonly anvil: Anvil;
  readonly nats: Nats;
  readonly market: TestMarket;
  readonly folder: string;
  /** The bus as the router and the payment service of a namespace's edge see it. */
  readonly routers: Readonly<Record<(typeof NAMESPACES)[number], Bus>>;
  readonly edges: Readonly<Record<(typeof NAMESPACES)[number], Bus>>;
  readonly manifestSha256: string;
  /** Every probe that the edges were asked. */
  readonly probes: string[];
  /** What the claims are filled with: a folder with cupel-manifest.json. */
  readonly claims: Map<string, string>;
  startOperator(): Promise<Child>;
  operatorLog(): Promise<string>;
  apply(...objects: readonly object[]): Promise<void>;
  /** Applies an object that must be refused; returns the API server's message. */
  refused(object: object): Promise<string>;
  get(kind: string, namespace: string | undefined, name: string): Promise<Live>;
  /** Waits for a condition. */
  until(namespace: string | undefined, name: string, type: string, status: string, timeoutMs?: number): Promise<Condition>;
  /** A claim that holds a folder. */
  claim(namespace: string, name: string, folder: string): Promise<void>;
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

export interface Live {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly finalizers?: readonly string[];
  };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly onChain?: { readonly modelId: Hex; readonly versionId: Hex };
  } & Record<string, unknown>;
}

/** A control plane, a chain, a bus, a watcher and a stand-in kubelet: all that the operator meets. */
export const startWorld = async (): Promise<World> => {
  const stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'cupel-operator-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const users = [
    { user: 'operator', role: 'operator' as const, password: PASSWORD },
    { user: 'watcher', role: 'watcher' as const, password: PASSWORD },
    ...NAMESPACES.flatMap((namespace) => [
      { user: `${namespace}-router`, role: 'edge-router' as const, scope: edgeScope(namespace, 'edge'), password: PASSWORD },
      { user: `${namespace}-payment`, role: 'edge-payment' as const, scope: edgeScope(namespace, 'edge'), password: PASSWORD },
    ]),
  ];
  const [plane, anvil, nats] = await Promise.all([
    startControlPlane({ auditLog: true }),
    startAnvil({ blockTime: 1 }),
    startNats({ config: renderAccounts([{ name: 'cluster', users }]) }),
  ]);
  stack.use(plane);
  stack.use(anvil);
  stack.use(nats);
  const market = await deployTestMarket(anvil);
  const transport = createTransport({ config: loadKubeConfig({ path: plane.kubeconfigPath }) });
  stack.defer(() => transport.close());
  const client = createClient({ transport, fieldManager: 'test' });
  const claims = new Map<string, string>();

  await plane.kubectl(['apply', '--server-side', '-f', join(ROOT, 'crds')]);
  await plane.kubectl(['wait', '--for=condition=Established', 'crd', '--all']);
  for (const namespace of ['cupel-system', ...NAMESPACES]) await plane.kubectl(['create', 'namespace', namespace]);
  await writeFile(join(folder, 'password'), PASSWORD);
  for (const { user } of users) await writeFile(join(folder, `${user}.user`), user);
  const kubeconfigFile = await operatorKubeconfig(plane, folder);
  stack.use(await startPodRunner(client, (claim) => claims.get(claim) ?? DIGITS));

  const connect = async (user: string): Promise<Bus> =>
    stack.use(await connectBus({ url: nats.url, user, password: PASSWORD, name: user, logger: memoryLogger() }));
  const probes: string[] = [];
  const model = loadModel(await readFile(join(DIGITS, 'program.bin')), await readFile(join(DIGITS, 'weights.bin')));
  const edges = {} as Record<(typeof NAMESPACES)[number], Bus>;
  const routers = {} as Record<(typeof NAMESPACES)[number], Bus>;
  for (const namespace of NAMESPACES) {
    const router = await connect(`${namespace}-router`);
    routers[namespace] = router;
    edges[namespace] = await connect(`${namespace}-payment`);
    await router.serve(probeSubject(edgeScope(namespace, 'edge')), probeRequest, ({ url, input = '0x' }) => {
      probes.push(url);
      return { output: bytesToHex(run(model, hexToBytes(input))), latencyMs: 1 };
    });
  }

  const common = (user: string) => ({
    nats: { url: nats.url, userFile: join(folder, `${user}.user`), passwordFile: join(folder, 'password') },
  });
  const { contracts, block } = market.deployment;
  const rpc = [{ name: 'anvil', url: anvil.rpcUrl }];
  const [metricsPort = 0, watcherPort = 0] = await freePorts(2);
  await writeFile(
    join(folder, 'operator.json'),
    JSON.stringify({
      ...common('operator'),
      metricsPort,
      watchNamespaces: NAMESPACES,
      leaseNamespace: 'cupel-system',
      accessRole: 'cupel-operator',
      engineImages: { LlamaCpp: 'llm:1', Integer: 'cupel:1' },
      verifyImage: 'cupel:1',
      drainSeconds: 0.5,
      claimsEverySeconds: 0.5,
      kubeconfigFile,
      log: { level: 'debug' },
    }),
  );
  await writeFile(
    join(folder, 'watcher.json'),
    JSON.stringify({
      ...common('watcher'),
      metricsPort: watcherPort,
      market: { chainId: anvil.chainId, rpc, contracts },
      startBlock: block,
      pollMs: 100,
      statePath: join(folder, 'w.sqlite'),
    }),
  );
  const service = (name: string): Promise<Child> =>
    startChild({
      name,
      command: process.execPath,
      args: [join(ROOT, `services/${name}/src/main.ts`)],
      logPath: join(folder, `${name}.log`),
      env: { CUPEL_CONFIG: join(folder, `${name}.json`) },
    });
  stack.use(await service('watcher'));

  const get = async (kind: string, namespace: string | undefined, name: string): Promise<Live> =>
    JSON.parse(await plane.kubectl(['get', kind, name, '-o', 'json', ...(namespace === undefined ? [] : ['-n', namespace])])) as Live;
  const apply: World['apply'] = async (...objects) => {
    await plane.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
  };
  return {
    plane,
    client,
    anvil,
    nats,
    market,
    folder,
    routers,
    edges,
    probes,
    claims,
    manifestSha256: (await promisify(execFile)('sha256sum', [join(DIGITS, 'cupel-manifest.json')])).stdout.slice(0, 64),
    async startOperator() {
      const child = await service('operator');
      stack.defer(() => child.stop(8000));
      return child;
    },
    operatorLog: () => readFile(join(folder, 'operator.log'), 'utf8'),
    apply,
    refused: (object) =>
      apply(object).then(
        () => {
          throw new Error('the API server took it');
        },
        (error: unknown) => String(error),
      ),
    get,
    until: (namespace, name, type, status, timeoutMs = 30_000) =>
      eventually(
        `${type}=${status} of ${name}`,
        async () =>
          (await get(namespace === undefined ? 'market' : 'modelprovider', namespace, name)).status?.conditions?.find(
            (c) => c.type === type && c.status === status,
          ),
        timeoutMs,
      ),
    async claim(namespace, name, path) {
      claims.set(name, path);
      const size = { storage: '1Gi' };
      const volume = `${namespace}-${name}`;
      await apply(
        {
          apiVersion: 'v1',
          kind: 'PersistentVolume',
          metadata: { name: volume },
          spec: {
            capacity: size,
            accessModes: ['ReadOnlyMany'],
            storageClassName: '',
            hostPath: { path: '/nowhere' },
            claimRef: { namespace, name },
          },
        },
        {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { namespace, name },
          spec: { accessModes: ['ReadOnlyMany'], storageClassName: '', resources: { requests: size }, volumeName: volume },
        },
      );
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
};

/** The operator's own ServiceAccount with the chart's own rules: what it may not do in production fails here too. */
const operatorKubeconfig = async (plane: ControlPlane, folder: string): Promise<string> => {
  const address = `0x${'01'.repeat(20)}`;
  const names = ['stakeToken', 'paymentToken', 'stakeVault', 'modelRegistry', 'paymentChannels', 'claimManager', 'disputeManager'];
  const values = {
    operator: { enabled: true },
    watchNamespaces: NAMESPACES,
    existingSecrets: { nats: { operator: 'nats-operator' } },
    market: {
      chainId: 31_337,
      rpc: [{ name: 'anvil', url: 'http://127.0.0.1:8545' }],
      contracts: Object.fromEntries(names.map((name) => [name, address])),
    },
    nats: { url: 'nats://127.0.0.1:4222' },
  };
  await writeFile(join(folder, 'values.json'), JSON.stringify(values));
  const { stdout } = await promisify(execFile)(await toolBinary('helm'), [
    'template',
    'cupel',
    join(ROOT, 'charts/cupel'),
    '-n',
    'cupel-system',
    '-f',
    join(folder, 'values.json'),
    '-s',
    'templates/operator/rbac.yaml',
  ]);
  await plane.kubectl(['create', 'serviceaccount', 'cupel-operator', '-n', 'cupel-system']);
  await plane.kubectl(['apply', '-f', '-'], stdout);
  const token = (await plane.kubectl(['create', 'token', 'cupel-operator', '-n', 'cupel-system', '--duration=2h'])).trim();
  const path = join(folder, 'operator.kubeconfig');
  const ca = (await readFile(join(plane.certificatesFolder, 'ca.crt'))).toString('base64');
  await writeFile(
    path,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: plane.server, 'certificate-authority-data': ca } }],
      users: [{ name: 'u', user: { token } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
    { mode: 0o600 },
  );
  return path;
};
