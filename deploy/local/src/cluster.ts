import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exists, lockFile } from './cache.ts';
import { startTime, sweepCgroups } from './cgroups.ts';
import { clusterFiles, type ClusterSpec, type ClusterStatus, parseStatus } from './cluster-spec.ts';
import { run } from './command.ts';
import { defaultStateFolder, packageFolder } from './config.ts';
import { debsFolder } from './debs.ts';
import type { Image } from './image-archive.ts';
import { takeStore } from './image-store.ts';
import { buildImages, type ImageName } from './images.ts';
import { requireLayer } from './preflight.ts';
import { logTail } from './processes/child.ts';
import { type Note, type Progress, silentProgress } from './progress.ts';
import { removeFolder, removeFolderLater, rootless } from './rootless.ts';
import { toolBinary, toolFolder } from './tools.ts';
import { ask } from './way-in.ts';

export interface ClusterOptions {
  /** Absent: `.cupel/cluster` in the checkout. One cluster per folder; any number of folders side by side. */
  readonly stateFolder?: string;
  /** Images to have on the node, beside pause and coredns. Pods name them by `reference` and `imagePullPolicy: Never`. */
  readonly images?: readonly ImageName[];
  /** Simulated GPUs (`nvidia.com/gpu`); default 4. */
  readonly gpus?: number;
  /** Labels of the node, beside those that GPU feature discovery would give. */
  readonly nodeLabels?: Readonly<Record<string, string>>;
  /** Empty local PersistentVolumes of 1 GiB, of the default class; default 16. A claim uses one up for good. */
  readonly volumes?: number;
  /** Writes every API request at Metadata level to `auditLogPath`. */
  readonly auditLog?: boolean;
  /** `caller`: the cluster dies with this process, however it dies (default). `detached`: it stays until `down`. */
  readonly lifetime?: 'caller' | 'detached';
  readonly progress?: Progress;
}

/** A running cluster, seen from outside. */
export interface Cluster extends AsyncDisposable {
  readonly stateFolder: string;
  /** Administrator; its server is `https://127.0.0.1:<port>`. */
  readonly kubeconfig: string;
  readonly auditLogPath: string;
  /** References of the images on the node, by name. */
  readonly images: Readonly<Record<string, string>>;
  /** Opens `127.0.0.1:<port>` for an address inside, for instance `10.96.0.7:80`. Asked again under the same name, it answers with the same port. */
  expose(name: string, target: string, port?: number): Promise<{ port: number; url: string }>;
  /** The same for a Service, by its port's number. */
  exposeService(namespace: string, service: string, servicePort: number, port?: number): Promise<{ port: number; url: string }>;
  kubectl(args: readonly string[], input?: string): Promise<string>;
  helm(args: readonly string[]): Promise<string>;
  status(): Promise<ClusterStatus>;
  /** SIGTERM to every container, SIGKILL to everything within 3 s, and no trace left but the state folder's logs. */
  stop(): Promise<void>;
}

/** How many steps `up` reports. */
export const upSteps = 5;

const readyTimeoutMs = 180_000;

/**
 * Starts a Kubernetes cluster with one real node and waits until the node and DNS are ready: 10 to 15 s when the cache is warm.
 * @throws when the machine cannot run one (with the remedy), one runs in this state folder already, or something did not come up
 * (with the end of its log).
 */
export async function up(options: ClusterOptions = {}): Promise<Cluster> {
  const stateFolder = resolve(options.stateFolder ?? defaultStateFolder);
  const progress = options.progress ?? silentProgress;
  const files = clusterFiles(stateFolder);
  await mkdir(stateFolder, { recursive: true });
  await using _lock = await lockFile(join(stateFolder, 'lock'));
  await progress.step('check this machine', async () => {
    await requireLayer('cluster');
    if ((await liveStatus(stateFolder)) !== undefined)
      throw new Error(`a cluster runs in ${stateFolder} already; stop it with "local.ts down", or choose another state folder`);
    sweepCgroups();
  });
  const [kubeTools, nodeTools] = await progress.step('programs', async (note) => [
    await toolFolder('kube', note),
    await toolFolder('node', note),
  ]);
  const debs = await progress.step('Debian packages', debsFolder);
  const names = [...new Set<ImageName>(['pause', 'coredns', ...(options.images ?? [])])];
  const images = await progress.step('images', (note) => buildImages(names, note));
  return progress.step('cluster', async (note) => {
    await discard(files.node);
    await mkdir(files.node, { recursive: true });
    await rm(files.status, { force: true });
    await rm(join(stateFolder, 'cluster.log'), { force: true });
    note('image store');
    const list: Image[] = Object.values(images);
    const { complete } = await takeStore(list, files.containerdRoot);
    const gpus = options.gpus ?? 4;
    const spec: ClusterSpec = {
      stateFolder,
      rootless,
      images: list,
      storeComplete: complete,
      corednsReference: images['coredns']?.reference ?? '',
      pauseReference: images['pause']?.reference ?? '',
      gpus,
      nodeLabels: { ...gpuLabels(gpus), ...options.nodeLabels },
      volumes: options.volumes ?? 16,
      auditLog: options.auditLog ?? false,
      kubeTools,
      nodeTools,
      debs,
    };
    await writeFile(files.spec, JSON.stringify(spec));
    await startKeeper(stateFolder, options.lifetime ?? 'caller');
    try {
      await waitReady(stateFolder, note);
    } catch (error) {
      await down(stateFolder);
      throw error;
    }
    return handle(stateFolder);
  });
}

/** The cluster that runs in a state folder; undefined when none is ready there. */
export async function attach(stateFolder: string = defaultStateFolder): Promise<Cluster | undefined> {
  const status = await liveStatus(resolve(stateFolder));
  return status?.phase === 'ready' ? handle(resolve(stateFolder)) : undefined;
}

/** Stops the cluster in a state folder, if there is one, and clears up after one that crashed. */
export async function down(stateFolder: string = defaultStateFolder): Promise<void> {
  const folder = resolve(stateFolder);
  const status = await liveStatus(folder);
  if (status !== undefined) {
    await ask(status.controlSocket, 'stop').catch(() => process.kill(status.keeperPid, 'SIGTERM'));
    const deadline = performance.now() + 5000;
    while ((await liveStatus(folder)) !== undefined) {
      // The kernel takes the cluster down with its keeper.
      if (performance.now() > deadline) process.kill(status.keeperPid, 'SIGKILL');
      await sleep(30);
    }
  }
  sweepCgroups();
  await rm(socketsOf(folder), { recursive: true, force: true });
  const { node, logs, podLogs, auditLog } = clusterFiles(folder);
  if (await exists(node)) {
    await rm(join(folder, 'last'), { recursive: true, force: true });
    await mkdir(join(folder, 'last'));
    for (const path of [logs, podLogs, auditLog])
      if (await exists(path)) await rename(path, join(folder, 'last', path.split('/').at(-1) ?? 'log'));
    await removeFolder(node);
  }
}

/** What `status.json` says, if the keeper that wrote it lives. */
export async function liveStatus(stateFolder: string): Promise<ClusterStatus | undefined> {
  const text = await readFile(clusterFiles(stateFolder).status, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const status = parseStatus(text);
  return startTime(status.keeperPid) === status.keeperStart ? status : undefined;
}

/** A socket's path may have 107 bytes, a checkout's may be longer. */
function socketsOf(stateFolder: string): string {
  return join(tmpdir(), `cupel-${createHash('sha256').update(stateFolder).digest('hex').slice(0, 12)}`);
}

async function startKeeper(stateFolder: string, lifetime: 'caller' | 'detached'): Promise<void> {
  const socketFolder = socketsOf(stateFolder);
  await rm(socketFolder, { recursive: true, force: true });
  await mkdir(socketFolder, { mode: 0o700 });
  const keeper = [process.execPath, join(packageFolder, 'src', 'keeper.ts'), stateFolder, socketFolder];
  const command = lifetime === 'caller' ? ['setpriv', '--pdeathsig', 'KILL', '--', ...keeper] : keeper;
  const [program = '', ...args] = command;
  const child = spawn(program, args, { detached: lifetime === 'detached', stdio: 'ignore' });
  await new Promise<void>((done, fail) => child.once('spawn', done).once('error', fail));
  child.unref();
}

async function waitReady(stateFolder: string, note: Note): Promise<void> {
  const { status: path, logs } = clusterFiles(stateFolder);
  const deadline = performance.now() + readyTimeoutMs;
  let last: ClusterStatus | undefined;
  while (performance.now() < deadline) {
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text !== undefined) {
      last = parseStatus(text);
      note(last.note);
      if (last.phase === 'ready') return;
      if (last.error !== undefined) break;
    }
    await sleep(50);
  }
  const clusterLog = logTail(join(stateFolder, 'cluster.log'));
  throw new Error(
    `the cluster did not come up: ${last?.error ?? `still at "${last?.note}" after ${readyTimeoutMs / 1000} s`}; logs in ${logs}\n${clusterLog}`,
  );
}

async function handle(stateFolder: string): Promise<Cluster> {
  const files = clusterFiles(stateFolder);
  const spec: ClusterSpec = JSON.parse(await readFile(files.spec, 'utf8'));
  const status = async (): Promise<ClusterStatus> => {
    const live = await liveStatus(stateFolder);
    if (live === undefined) throw new Error(`no cluster runs in ${stateFolder}; see ${join(stateFolder, 'cluster.log')}`);
    return live;
  };
  const kubectl = (args: readonly string[], input?: string): Promise<string> =>
    run(join(spec.kubeTools, 'kubectl'), ['--kubeconfig', files.kubeconfig, ...args], input === undefined ? {} : { input });
  const expose = async (name: string, target: string, port = 0): Promise<{ port: number; url: string }> => {
    const answer: { port?: number; error?: string } = JSON.parse(
      await ask((await status()).controlSocket, `expose ${name} ${target} ${port}`),
    );
    if (answer.port === undefined) throw new Error(`cannot expose ${name}: ${answer.error ?? 'no answer'}`);
    return { port: answer.port, url: `http://127.0.0.1:${answer.port}` };
  };
  const stop = (): Promise<void> => down(stateFolder);
  return {
    stateFolder,
    kubeconfig: files.kubeconfig,
    auditLogPath: files.auditLog,
    images: Object.fromEntries(spec.images.map(({ reference }) => [imageName(reference), reference])),
    expose,
    exposeService: async (namespace, service, servicePort, port) => {
      const address = await kubectl(['-n', namespace, 'get', 'service', service, '-o', 'jsonpath={.spec.clusterIP}']);
      return expose(`${namespace}/${service}:${servicePort}`, `${address}:${servicePort}`, port);
    },
    kubectl,
    helm: async (args) => run(await toolBinary('helm'), [...args, '--kubeconfig', files.kubeconfig]),
    status,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function imageName(reference: string): string {
  return reference.replace(/^localhost\//, '').replace(/:.*$/, '');
}

/** Labels that NVIDIA's GPU feature discovery puts on a node. */
function gpuLabels(gpus: number): Record<string, string> {
  if (gpus === 0) return {};
  return {
    'nvidia.com/gpu.present': 'true',
    'nvidia.com/gpu.count': String(gpus),
    'nvidia.com/gpu.product': 'Cupel-Simulated-GPU',
    'nvidia.com/gpu.memory': '81920',
  };
}

/** Takes a folder out of the way at once and deletes it in the background. */
async function discard(folder: string): Promise<void> {
  if (!(await exists(folder))) return;
  const trash = `${folder}.trash-${process.pid}-${Date.now()}`;
  await rename(folder, trash);
  removeFolderLater(trash);
}
