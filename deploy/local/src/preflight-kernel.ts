import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { isCgroup2 } from './cgroups.ts';
import { run } from './command.ts';
import { userNamespaceFlags } from './rootless.ts';

/** `tools`: builds everything. `control-plane`: API server without a node, for tests. `cluster`: a real node; needs root, or a kernel that gives a user one. */
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

const capabilities = { CAP_NET_ADMIN: 12, CAP_SYS_CHROOT: 18, CAP_SYS_ADMIN: 21, CAP_MKNOD: 27 };
const asRoot = 'run as root; in a container, start it with --privileged';

/** Capabilities among `wanted` (name → bit) that the process lacks, from the text of /proc/self/status. */
export function missingCapabilities(status: string, wanted: Readonly<Record<string, number>>): string[] {
  const [, hex = '0'] = /^CapEff:\s*([0-9a-f]+)/m.exec(status) ?? [];
  const held = BigInt(`0x${hex}`);
  return Object.entries(wanted)
    .filter(([, bit]) => ((held >> BigInt(bit)) & 1n) === 0n)
    .map(([name]) => name);
}

/** What root needs for a node. */
export async function rootChecks(): Promise<Check[]> {
  const layer = 'cluster';
  const missing = missingCapabilities(await readFile('/proc/self/status', 'utf8'), capabilities);
  const root = missing.length === 0;
  const checks: Check[] = [
    {
      layer,
      name: 'root',
      ok: root,
      found: root ? 'yes' : `user 0, lacks ${missing.join(', ')}`,
      remedy: asRoot,
    },
  ];
  if (!root) return checks;
  checks.push(
    ...(await namespaceChecks(asRoot)),
    await cgroupCheck(),
    await access('/dev/kmsg', constants.R_OK).then(
      () => ({ layer, name: '/dev/kmsg', ok: true, found: 'readable', remedy: '' }),
      () => ({ layer, name: '/dev/kmsg', ok: false, found: 'not readable', remedy: `kubelet reads it; ${asRoot}` }),
    ),
  );
  return checks;
}

/** Tries a script in namespaces like those of a cluster. */
export async function attempt(name: string, script: string, remedy: string): Promise<Check> {
  const layer = 'cluster';
  const flags = [...userNamespaceFlags, '--net', '--mount', '--pid', '--fork', '--mount-proc', '--propagation', 'private'];
  return run('unshare', [...flags, 'sh', '-ec', script]).then(
    () => ({ layer, name, ok: true, found: 'allowed', remedy }),
    (error: Error) => ({ layer, name, ok: false, found: error.message.split('\n').at(-1) ?? 'refused', remedy }),
  );
}

/** What both kinds of root need from the kernel. */
export function namespaceChecks(remedy: string): Promise<Check[]> {
  const overlay = 'mount -t tmpfs t /run; cd /run; mkdir a b c d; mount -t overlay o -o lowerdir=a,upperdir=b,workdir=c d';
  const veth = 'ip link set lo up; ip link add name v0 type veth peer name v1; echo 1 >/proc/sys/net/ipv4/ip_forward';
  return Promise.all([
    attempt('overlay file system in private namespaces', overlay, remedy),
    attempt('virtual network pairs', veth, `load the kernel module veth (modprobe veth), ${remedy}`),
  ]);
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
