import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clusterFiles, type ClusterSpec } from './cluster-spec.ts';
import { run } from './command.ts';
import { inheritedEnvironment } from './config.ts';
import { writeArchive } from './image-archive.ts';
import { keepStore, storedBlobs } from './image-store.ts';
import { cniConfig, containerdConfig, containerdSocket } from './node-config.ts';
import { type Child, startChild, waitUntil } from './processes/child.ts';

export interface Runtime {
  readonly child: Child;
  readonly start: () => Promise<Child>;
  /** For every program of the node: finds runc, nft and the libraries of the unpacked packages. */
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Starts containerd and imports the images that it lacks. Runs inside the namespaces.
 * @throws with the end of containerd's log when it does not come up.
 */
export async function startRuntime(spec: ClusterSpec, note: (text: string) => void): Promise<Runtime> {
  const files = clusterFiles(spec.stateFolder);
  const packages = join(spec.debs, 'node');
  const env: NodeJS.ProcessEnv = {
    ...inheritedEnvironment,
    PATH: [join(packages, 'usr/sbin'), join(packages, 'usr/bin'), inheritedEnvironment['PATH']].join(':'),
    LD_LIBRARY_PATH: [join(packages, 'usr/lib/x86_64-linux-gnu'), join(packages, 'lib/x86_64-linux-gnu')].join(':'),
  };
  await mkdir(join(files.node, 'cni'), { recursive: true });
  await writeFile(join(files.node, 'cni', '10-pods.conflist'), cniConfig(files.node));
  const configPath = join(files.node, 'containerd.toml');
  const cniPlugins = join(packages, 'usr/lib/cni');
  await writeFile(
    configPath,
    containerdConfig({ folder: files.node, cniPlugins, pauseImage: spec.pauseReference, rootless: spec.rootless }),
  );
  const ctr = (args: readonly string[]): Promise<string> =>
    run(join(packages, 'usr/bin/ctr'), ['--address', containerdSocket, '--namespace', 'k8s.io', ...args], { env });
  const start = async (): Promise<Child> => {
    const child = await startChild({
      name: 'containerd',
      command: join(packages, 'usr/bin/containerd'),
      args: ['--config', configPath],
      logPath: join(files.logs, 'containerd.log'),
      env,
    });
    await waitUntil(child, 'serving', 20_000, async () => (await ctr(['version'])) !== '');
    return child;
  };
  let child = await start();
  if (!spec.storeComplete) {
    note('image import');
    await importImages(spec, files.containerdRoot, ctr, join(packages, 'usr/bin/ctr'), env);
    // The databases are whole only while nobody has them open.
    await child.stop();
    await keepStore(spec.images, files.containerdRoot);
    child = await start();
  }
  return { child, start, env };
}

async function importImages(
  spec: ClusterSpec,
  store: string,
  ctr: (args: readonly string[]) => Promise<string>,
  binary: string,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const present = (await ctr(['images', 'list', '--quiet'])).split('\n').filter((line) => line.startsWith('localhost/'));
  const wanted = new Set(spec.images.map(({ reference }) => reference));
  const missing = spec.images.filter(({ reference }) => !present.includes(reference));
  if (missing.length > 0) {
    const blobs = await storedBlobs(store);
    const args = ['--address', containerdSocket, '--namespace', 'k8s.io', 'images', 'import', '-'];
    const reader = spawn(binary, args, { stdio: ['pipe', 'ignore', 'pipe'], env });
    let errors = '';
    reader.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-2000)));
    const ended = once(reader, 'close');
    const written = writeArchive(missing, reader.stdin, (digest) => blobs.has(digest));
    const [code] = await Promise.all([ended.then(([value]) => value), written.catch(() => undefined)]);
    if (code !== 0) throw new Error(`ctr images import ended with code ${code}: ${errors}`);
  }
  const old = present.filter((reference) => !wanted.has(reference));
  if (old.length > 0) await ctr(['images', 'remove', '--sync', ...old]);
}
