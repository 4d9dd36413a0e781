import { readFile } from 'node:fs/promises';
import { attach, down, liveStatus, up, upSteps } from '../cluster.ts';
import { cacheRoot, defaultStateFolder } from '../config.ts';
import { debsFolder } from '../debs.ts';
import { buildImages, exportImages, type ImageName, imageNames } from '../images.ts';
import { preflight } from '../preflight.ts';
import { createProgress } from '../progress.ts';
import { toolFolder } from '../tools.ts';
import { smollm2Weights } from '../weights.ts';

const usage = `usage: node deploy/local/src/cli/local.ts COMMAND [FOLDER]
  preflight   what this machine lacks for building and for a cluster
  tools       build and fetch all programs into the cache (${cacheRoot})
  images      build all images; with a folder, write them there as OCI archives and as layers for deploy/local/images/Dockerfile
  up          start the cluster of this checkout (or of a state folder) and leave it running
  down        stop it
  status      whether it runs, and where its API server and exposed Services are
`;

const [command = '', folder] = process.argv.slice(2);
const stateFolder = folder ?? defaultStateFolder;
const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function main(): Promise<number> {
  switch (command) {
    case 'preflight':
      return showPreflight();
    case 'tools':
      await tools();
      return 0;
    case 'images':
      return images();
    case 'up':
      return startCluster();
    case 'down':
      await down(stateFolder);
      return 0;
    case 'status':
      return status();
    default:
      process.stderr.write(usage);
      return 2;
  }
}

async function showPreflight(): Promise<number> {
  const checks = await preflight();
  for (const { layer, name, ok, found, remedy } of checks)
    say(`${ok ? 'ok  ' : 'FAIL'} ${layer.padEnd(13)} ${name}: ${found}${ok ? '' : `\n     remedy: ${remedy}`}`);
  return checks.every(({ ok }) => ok) ? 0 : 1;
}

async function tools(): Promise<void> {
  const progress = createProgress(process.stdout, 5);
  const folders = [
    await progress.step('Kubernetes', (note) => toolFolder('kube', note)),
    await progress.step('programs of the node', (note) => toolFolder('node', note)),
    await progress.step('DNS, NATS and Helm', (note) => toolFolder('extra', note)),
    await progress.step('Debian packages', debsFolder),
    (await progress.step('model weights', smollm2Weights)).folder,
  ];
  say(folders.join('\n'));
}

async function images(): Promise<number> {
  const built = await createProgress(process.stdout, 1).step('images', (note) => buildImages(imageNames, note));
  for (const { reference } of Object.values(built)) say(reference);
  if (folder !== undefined) await exportImages(built, folder);
  return 0;
}

async function startCluster(): Promise<number> {
  const running = await attach(stateFolder);
  if (running !== undefined) {
    say(`already running; export KUBECONFIG=${running.kubeconfig}`);
    return 0;
  }
  const names: readonly ImageName[] = imageNames;
  const cluster = await up({ stateFolder, images: names, lifetime: 'detached', progress: createProgress(process.stdout, upSteps) });
  say(`export KUBECONFIG=${cluster.kubeconfig}`);
  return 0;
}

async function status(): Promise<number> {
  const live = await liveStatus(stateFolder);
  if (live === undefined) {
    say('no cluster runs here');
    return 1;
  }
  say(`${live.phase}: ${live.note}`);
  const running = await attach(stateFolder);
  if (running !== undefined) {
    say(`export KUBECONFIG=${running.kubeconfig}`);
    const { clusters }: { clusters: { cluster: { server: string } }[] } = JSON.parse(await readFile(running.kubeconfig, 'utf8'));
    say(`API server ${clusters[0]?.cluster.server}`);
  }
  for (const [name, { target, port }] of Object.entries(live.exposed)) say(`${name} (${target}) at http://127.0.0.1:${port}`);
  return 0;
}
