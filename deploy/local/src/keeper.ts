import { spawn } from 'node:child_process';
import { mkdirSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { kubeconfig } from './certificates.ts';
import { clusterCgroup, createCgroup, removeCgroup, startTime } from './cgroups.ts';
import { clusterFiles, type ClusterStatus, insideMessage } from './cluster-spec.ts';
import { packageFolder } from './config.ts';
import { apiServerPort, nodeAddress } from './node-config.ts';
import { rootless, userNamespaceFlags } from './rootless.ts';
import { ask, listenOutside, parseTarget, readLine } from './way-in.ts';

/*
 * The process outside that one cluster hangs on: `node keeper.ts STATE_FOLDER SOCKET_FOLDER`. It starts the namespaces, holds the TCP ports
 * on 127.0.0.1 and keeps `status.json`. When it dies the kernel kills the cluster; when the cluster dies it clears up and leaves.
 */

const [stateFolder = '', socketFolder = ''] = process.argv.slice(2);
if (socketFolder === '') throw new Error('usage: keeper.ts STATE_FOLDER SOCKET_FOLDER');
const files = clusterFiles(stateFolder);
const waySocket = join(socketFolder, 'way-in.sock');
const controlSocket = join(socketFolder, 'control.sock');
const stopGraceMs = 3000;
let stopping = false;

const cgroup = clusterCgroup(process.pid);
let status: ClusterStatus = {
  phase: 'starting',
  note: 'namespaces',
  keeperPid: process.pid,
  keeperStart: startTime(process.pid) ?? '0',
  clusterPid: 0,
  cgroup,
  controlSocket,
  apiPort: 0,
  exposed: {},
};
const update = (change: Partial<ClusterStatus>): void => {
  status = { ...status, ...change };
  writeFileSync(`${files.status}.new`, JSON.stringify(status, null, 2), { mode: 0o600 });
  renameSync(`${files.status}.new`, files.status);
};
update({});

process.on('SIGINT', () => void stop());
process.on('SIGTERM', () => void stop());
process.on('SIGHUP', () => undefined);

if (!rootless) createCgroup(cgroup);
mkdirSync(files.kubelet, { recursive: true });
const api = await listenOutside(waySocket, `${nodeAddress}:${apiServerPort}`);
createServer((socket) => {
  socket.on('error', () => socket.destroy());
  readLine(socket, (line) => {
    void answer(line).then(
      (text) => socket.end(text),
      (error: unknown) => socket.end(JSON.stringify({ error: error instanceof Error ? error.message : String(error) })),
    );
  });
}).listen(controlSocket);

const log: number = openSync(join(stateFolder, 'cluster.log'), 'a');
const namespaces = [
  ...userNamespaceFlags,
  '--net',
  '--mount',
  '--pid',
  '--fork',
  '--mount-proc',
  '--propagation',
  'private',
  '--kill-child',
];
const inside = [process.execPath, join(packageFolder, 'src', 'inside.ts'), files.spec, waySocket, cgroup];
const cluster = spawn(
  'setpriv',
  [
    '--pdeathsig',
    'KILL',
    '--',
    'unshare',
    ...namespaces,
    join(packageFolder, 'scripts', 'enter.sh'),
    nodeAddress,
    files.kubelet,
    ...inside,
  ],
  { stdio: ['ignore', 'pipe', log] },
);
update({ clusterPid: cluster.pid ?? 0, apiPort: api.port });
cluster.once('error', (error) => void end(`cannot start setpriv and unshare (package util-linux): ${error.message}`));
cluster.once('exit', (code, signal) => {
  if (status.error !== undefined || stopping) void end(status.error);
  else void end(`the cluster ended by itself (${signal ?? `code ${code}`}); see ${join(stateFolder, 'cluster.log')}`);
});
if (cluster.stdout === null) throw new Error('no pipe from the cluster');
createInterface({ input: cluster.stdout }).on('line', (line) => void hear(line));

async function hear(line: string): Promise<void> {
  const message = insideMessage.parse(JSON.parse(line));
  if (message.ready === true) {
    const text = await kubeconfig(join(files.node, 'certificates'), 'admin', `https://127.0.0.1:${api.port}`);
    writeFileSync(files.kubeconfig, text, { mode: 0o600 });
    update({ phase: 'ready', note: message.note });
  } else if (message.error !== undefined) update({ note: message.note, error: message.error });
  else update({ note: message.note });
}

/** Requests are one line: `stop`, or `expose NAME TARGET PORT` (port 0: any). Answers are JSON. */
async function answer(line: string): Promise<string> {
  const [verb, name = '', target = '', port = '0'] = line.split(' ');
  if (verb === 'stop') {
    void stop();
    return '{}';
  }
  if (verb !== 'expose') throw new Error(`unknown request ${JSON.stringify(verb)}`);
  parseTarget(target);
  const known = status.exposed[name];
  if (known !== undefined && known.target === target) return JSON.stringify({ port: known.port });
  if (known !== undefined) throw new Error(`${name} is exposed already, for ${known.target}; use another name`);
  await ask(waySocket, `allow ${target}`);
  const listener = await listenOutside(waySocket, target, Number(port));
  update({ exposed: { ...status.exposed, [name]: { target, port: listener.port } } });
  return JSON.stringify({ port: listener.port });
}

async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  void ask(waySocket, 'stop').catch(() => cluster.kill('SIGKILL'));
  await sleep(stopGraceMs);
  cluster.kill('SIGKILL');
}

async function end(error: string | undefined): Promise<void> {
  update({ phase: 'ended', note: 'ended', clusterPid: 0, ...(error === undefined ? {} : { error }) });
  await rm(socketFolder, { recursive: true, force: true });
  // The last processes may take a moment to leave their groups.
  for (let attempt = 0; attempt < 40 && !rootless && !removeCgroup(cgroup); attempt += 1) await sleep(50);
  process.exit(error === undefined ? 0 : 1);
}
