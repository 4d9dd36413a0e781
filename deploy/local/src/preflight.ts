import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { run } from './command.ts';
import { isCgroup2 } from './cgroups.ts';
import { inheritedEnvironment } from './config.ts';

/** `tools`: builds everything. `control-plane`: API server without a node, for tests. `cluster`: a real node; needs root. */
export type PreflightLayer = 'tools' | 'control-plane' | 'cluster';

export interface Check {
  readonly layer: PreflightLayer;
  readonly name: string;
  readonly ok: boolean;
  /** What was found, or what is wrong. */
  readonly found: string;
  /** What to do when it failed. */
  readonly remedy: string;
}

const layers: readonly PreflightLayer[] = ['tools', 'control-plane', 'cluster'];

/** First two or three numbers of a version text: `go version go1.26.8 linux/amd64` is [1, 26, 8]. Empty when there are none. */
export function parseVersion(text: string): number[] {
  const [match] = /\d+\.\d+(\.\d+)?/.exec(text) ?? [];
  return match === undefined ? [] : match.split('.').map(Number);
}

/** True when `found` is `wanted` or later, compared number by number. */
export function atLeast(found: readonly number[], wanted: readonly number[]): boolean {
  if (found.length === 0) return false;
  for (const [index, number] of wanted.entries()) {
    const other = found[index] ?? 0;
    if (other !== number) return other > number;
  }
  return true;
}

/** Capabilities among `wanted` (name → bit) that the process lacks, from the text of /proc/self/status. */
export function missingCapabilities(status: string, wanted: Readonly<Record<string, number>>): string[] {
  const [, hex = '0'] = /^CapEff:\s*([0-9a-f]+)/m.exec(status) ?? [];
  const held = BigInt(`0x${hex}`);
  return Object.entries(wanted)
    .filter(([, bit]) => ((held >> BigInt(bit)) & 1n) === 0n)
    .map(([name]) => name);
}

interface ProgramCheck {
  readonly layer: PreflightLayer;
  readonly program: string;
  readonly args: readonly string[];
  readonly atLeast?: readonly number[];
  readonly remedy: string;
}

const programs: readonly ProgramCheck[] = [
  { layer: 'tools', program: 'make', args: ['--version'], remedy: 'apt-get install make' },
  { layer: 'tools', program: 'node', args: ['--version'], atLeast: [20], remedy: 'install Node.js 20 or later (nodejs.org)' },
  { layer: 'tools', program: 'npm', args: ['--version'], remedy: 'install npm; it comes with Node.js' },
  { layer: 'tools', program: 'go', args: ['version'], atLeast: [1, 26], remedy: 'install Go 1.26 or later (go.dev/dl)' },
  { layer: 'tools', program: 'python3', args: ['--version'], atLeast: [3, 10], remedy: 'apt-get install python3' },
  { layer: 'tools', program: 'python3', args: ['-m', 'pip', '--version'], remedy: 'apt-get install python3-pip' },
  { layer: 'tools', program: 'apt-get', args: ['--version'], remedy: 'use Debian or Ubuntu: packages are fetched with apt-get' },
  { layer: 'tools', program: 'dpkg-deb', args: ['--version'], remedy: 'apt-get install dpkg' },
  { layer: 'tools', program: 'tar', args: ['--version'], remedy: 'apt-get install tar' },
  { layer: 'tools', program: 'flock', args: ['--version'], remedy: 'apt-get install util-linux' },
  { layer: 'control-plane', program: 'openssl', args: ['version'], atLeast: [3, 0], remedy: 'apt-get install openssl (3.0 or later)' },
  { layer: 'control-plane', program: 'setpriv', args: ['--version'], remedy: 'apt-get install util-linux' },
  { layer: 'cluster', program: 'ip', args: ['-V'], remedy: 'apt-get install iproute2' },
  { layer: 'cluster', program: 'unshare', args: ['--version'], remedy: 'apt-get install util-linux' },
];

const capabilities = { CAP_NET_ADMIN: 12, CAP_SYS_CHROOT: 18, CAP_SYS_ADMIN: 21, CAP_MKNOD: 27 };
const asRoot = 'run as root; in a container, start it with --privileged';
const ownCluster = 'or use a cluster of your own: helm install from charts/ with your KUBECONFIG';

/** Runs every check of the layer and of those below it; takes well below a second. Changes nothing. */
export async function preflight(upTo: PreflightLayer = 'cluster'): Promise<Check[]> {
  const wanted = layers.slice(0, layers.indexOf(upTo) + 1);
  const checks = await Promise.all(programs.filter(({ layer }) => wanted.includes(layer)).map(checkProgram));
  checks.push(await platform());
  if (upTo === 'cluster') checks.push(...(await kernelChecks()));
  return checks;
}

/** @throws an error that lists what failed and the remedies, when the machine does not offer the layer. */
export async function requireLayer(layer: PreflightLayer): Promise<void> {
  const failed = (await preflight(layer)).filter(({ ok }) => !ok);
  if (failed.length === 0) return;
  const lines = failed.map(({ name, found, remedy }) => `  ${name}: ${found}\n    remedy: ${remedy}`);
  const other = layer === 'cluster' ? `\n  ${ownCluster}` : '';
  throw new Error(`this machine cannot offer the layer "${layer}":\n${lines.join('\n')}${other}`);
}

async function checkProgram(check: ProgramCheck): Promise<Check> {
  const name = check.args[0] === '-m' ? 'pip' : check.program;
  const { layer, remedy } = check;
  try {
    const text = (await run(check.program, check.args, { env: inheritedEnvironment })).split('\n')[0]?.trim() ?? '';
    const ok = check.atLeast === undefined || atLeast(parseVersion(text), check.atLeast);
    return { layer, name, ok, found: ok ? text : `${text}; ${check.atLeast?.join('.')} or later is needed`, remedy };
  } catch {
    return { layer, name, ok: false, found: 'not found', remedy };
  }
}

async function platform(): Promise<Check> {
  const ok = process.platform === 'linux' && process.arch === 'x64';
  const found = `${process.platform}/${process.arch}`;
  return { layer: 'tools', name: 'platform', ok, found, remedy: 'use Linux on x86-64; the pinned packages are for that' };
}

async function kernelChecks(): Promise<Check[]> {
  const layer = 'cluster';
  const missing = missingCapabilities(await readFile('/proc/self/status', 'utf8'), capabilities);
  const root = process.getuid?.() === 0 && missing.length === 0;
  const checks: Check[] = [
    {
      layer,
      name: 'root',
      ok: root,
      found: root ? 'yes' : `user ${process.getuid?.()}, lacks ${missing.join(', ') || 'root'}`,
      remedy: asRoot,
    },
  ];
  if (!root) return checks;
  const attempt = async (name: string, script: string, remedy: string): Promise<Check> => {
    const unshare = ['--net', '--mount', '--pid', '--fork', '--mount-proc', '--propagation', 'private', 'sh', '-ec', script];
    return run('unshare', unshare).then(
      () => ({ layer, name, ok: true, found: 'allowed', remedy }),
      (error: Error) => ({ layer, name, ok: false, found: error.message.split('\n').at(-1) ?? 'refused', remedy }),
    );
  };
  const overlay = 'mount -t tmpfs t /run; cd /run; mkdir a b c d; mount -t overlay o -o lowerdir=a,upperdir=b,workdir=c d';
  const veth = 'ip link set lo up; ip link add name v0 type veth peer name v1; echo 1 >/proc/sys/net/ipv4/ip_forward';
  checks.push(
    ...(await Promise.all([
      attempt('overlay file system in private namespaces', overlay, asRoot),
      attempt('virtual network pairs', veth, `load the kernel module veth (modprobe veth), ${asRoot}`),
    ])),
    await cgroupCheck(),
    await access('/dev/kmsg', constants.R_OK).then(
      () => ({ layer, name: '/dev/kmsg', ok: true, found: 'readable', remedy: '' }),
      () => ({ layer, name: '/dev/kmsg', ok: false, found: 'not readable', remedy: `kubelet reads it; ${asRoot}` }),
    ),
  );
  return checks;
}

async function cgroupCheck(): Promise<Check> {
  const needed = ['cpu', 'memory', 'pids', 'cpuset'];
  const base = { layer: 'cluster', name: 'cgroups' } as const;
  const remedy = 'mount /sys/fs/cgroup writable with the controllers cpu, cpuset, memory and pids; in a container, --privileged';
  try {
    const v2 = isCgroup2();
    const there = v2 ? (await readFile('/sys/fs/cgroup/cgroup.controllers', 'utf8')).trim().split(' ') : undefined;
    const lacks: string[] = [];
    for (const name of needed) {
      if (there !== undefined ? !there.includes(name) : !(await writable(`/sys/fs/cgroup/${name}`))) lacks.push(name);
    }
    if (v2 && !(await writable('/sys/fs/cgroup'))) lacks.push('write access');
    if (lacks.length > 0) return { ...base, ok: false, found: `v${v2 ? 2 : 1} without ${lacks.join(', ')}`, remedy };
    return { ...base, ok: true, found: `v${v2 ? 2 : 1}`, remedy };
  } catch {
    return { ...base, ok: false, found: 'not mounted', remedy };
  }
}

async function writable(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => true,
    () => false,
  );
}
