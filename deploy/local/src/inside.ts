import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterFiles, type ClusterSpec } from './cluster-spec.ts';
import { packageFolder } from './config.ts';
import { apiServerPort, localVolume, nodeAddress, nodeName, podCidr, storageClass } from './node-config.ts';
import { startNodePrograms } from './node-programs.ts';
import { startRuntime } from './node-runtime.ts';
import { type ControlPlane, startControlPlane } from './processes/control-plane.ts';
import { type Child, logTail } from './processes/child.ts';
import { listenInside } from './way-in.ts';

/*
 * Runs inside the namespaces of one cluster, below scripts/enter.sh: `node inside.ts SPEC WAY_IN_SOCKET CGROUP`. Starts everything, says on
 * stdout how far it is, restarts what dies, and on `stop` gives the containers a moment to leave.
 */

const [specPath, waySocket, cgroup] = process.argv.slice(2);
if (specPath === undefined || waySocket === undefined || cgroup === undefined)
  throw new Error('usage: inside.ts SPEC WAY_IN_SOCKET CGROUP');
const spec: ClusterSpec = JSON.parse(await readFile(specPath, 'utf8'));
const files = clusterFiles(spec.stateFolder);
const graceMs = 2500;
const restartDelayMs = 500;
let stopping = false;

const tell = (message: { note: string; ready?: boolean; error?: string }): void => {
  process.stdout.write(`${JSON.stringify(message)}\n`);
};

listenInside(waySocket, [`${nodeAddress}:${apiServerPort}`], () => void stop());

try {
  await start();
  tell({ note: 'ready', ready: true });
} catch (error) {
  tell({ note: 'failed', error: error instanceof Error ? error.message : String(error) });
  process.exit(1);
}

async function start(): Promise<void> {
  await mkdir(files.logs, { recursive: true });
  tell({ note: 'control plane and container runtime' });
  const [controlPlane, runtime] = await Promise.all([
    startControlPlane({
      folder: files.node,
      address: nodeAddress,
      port: apiServerPort,
      podCidr,
      nodeName,
      auditLog: spec.auditLog,
    }),
    startRuntime(spec, (note) => tell({ note })),
  ]);
  for (const [name, child] of controlPlane.children) keepControlPlane(controlPlane, name, child);
  keepRunning(runtime.start, runtime.child);

  tell({ note: 'node' });
  const [programs] = await Promise.all([startNodePrograms(spec, cgroup ?? '', controlPlane, runtime.env), createObjects(controlPlane)]);
  for (const program of programs) keepRunning(program.start, program.child);

  tell({ note: 'node Ready' });
  await controlPlane.kubectl(['wait', '--for=create', `node/${nodeName}`, '--timeout=60s']);
  const wanted = [`node/${nodeName}`, '--timeout=60s'];
  await controlPlane.kubectl(['wait', '--for=condition=Ready', ...wanted]);
  tell({ note: 'DNS' });
  await controlPlane.kubectl(['-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=60s']);
  if (spec.gpus > 0) await controlPlane.kubectl(['wait', `--for=jsonpath={.status.allocatable.nvidia\\.com/gpu}=${spec.gpus}`, ...wanted]);
}

async function createObjects(controlPlane: ControlPlane): Promise<void> {
  const dns = await readFile(join(packageFolder, 'manifests', 'dns.yaml'), 'utf8');
  const objects: object[] = [storageClass];
  for (let index = 1; index <= spec.volumes; index += 1) {
    const folder = join(files.node, 'volumes', `volume-${index}`);
    await mkdir(folder, { recursive: true });
    objects.push(localVolume(`volume-${index}`, folder));
  }
  const documents = [dns.replace('{{coredns}}', spec.corednsReference), ...objects.map((object) => JSON.stringify(object))];
  await controlPlane.kubectl(['create', '-f', '-'], documents.join('\n---\n'));
}

/** Starts a program again whenever it ends, until the cluster stops. */
function keepRunning(start: () => Promise<Child>, child: Child): void {
  void child.exited.then(async () => {
    for (;;) {
      if (!stopping) process.stderr.write(`${child.name} ended; its log ends:\n${logTail(child.logPath)}\n`);
      await sleep(restartDelayMs);
      if (stopping) return;
      try {
        keepRunning(start, await start());
        return;
      } catch (error) {
        process.stderr.write(`${child.name} did not start again: ${error instanceof Error ? error.message : String(error)}\n`);
      }
    }
  });
}

function keepControlPlane(controlPlane: ControlPlane, name: string, child: Child): void {
  void child.exited.then(async () => {
    await sleep(restartDelayMs);
    while (!stopping) {
      try {
        await controlPlane.restart(name);
        break;
      } catch (error) {
        process.stderr.write(`${name} did not start again: ${error instanceof Error ? error.message : String(error)}\n`);
        await sleep(restartDelayMs);
      }
    }
    const next = controlPlane.children.get(name);
    if (!stopping && next !== undefined) keepControlPlane(controlPlane, name, next);
  });
}

/** SIGTERM to everything in these namespaces, then the end: when this process is gone the first one leaves, and with it all others. */
async function stop(): Promise<void> {
  stopping = true;
  process.kill(-1, 'SIGTERM');
  const deadline = performance.now() + graceMs;
  while (performance.now() < deadline && containerProcesses() > 0) await sleep(50);
  process.exit(0);
}

function containerProcesses(): number {
  const ours = readlinkSync('/proc/self/ns/pid');
  let count = 0;
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      // Without cgroups a container shows by its processes' own namespace.
      if (
        spec.rootless ? readlinkSync(`/proc/${pid}/ns/pid`) !== ours : readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`/${cgroup}/`)
      )
        count += 1;
    } catch {
      // The process ended while we looked.
    }
  }
  return count;
}
