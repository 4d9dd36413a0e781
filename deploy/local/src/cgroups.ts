import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const mountPoint = '/sys/fs/cgroup';
const cgroup2Magic = 0x63677270;

/** True where one unified hierarchy (v2) is mounted; false for a hierarchy per controller (v1). */
export function isCgroup2(): boolean {
  return statfsSync(mountPoint).type === cgroup2Magic;
}

/** Kernel start time of a process in clock ticks since boot; undefined when there is no such process. Tells a pid from its successor. */
export function startTime(pid: number): string | undefined {
  try {
    // The second field, the name, may hold spaces and parentheses; the fields after it do not.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/** Name of the cgroup of the cluster that process `pid` keeps. It says who owns it, so that a later run can sweep after a crash. */
export function clusterCgroup(pid: number): string {
  return `cupel-${pid}-${startTime(pid) ?? '0'}`;
}

/** True when the process named in a cluster's cgroup is gone. */
export function ownerIsGone(name: string): boolean {
  const [, pid, start] = /^cupel-(\d+)-(\d+)$/.exec(name) ?? [];
  return pid !== undefined && startTime(Number(pid)) !== start;
}

/** The hierarchies in which a cluster has a folder: all controllers of v1 (and `unified`, which runc fills too), or the only one of v2. */
function hierarchies(): string[] {
  if (isCgroup2()) return [mountPoint];
  return readdirSync(mountPoint, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(mountPoint, entry.name));
}

/** Creates the cluster's cgroup, in v1 with the CPUs and memory nodes that `cpuset` demands. */
export function createCgroup(name: string): void {
  for (const hierarchy of hierarchies()) {
    const folder = join(hierarchy, name);
    mkdirSync(folder, { recursive: true });
    if (hierarchy.endsWith('/cpuset'))
      for (const file of ['cpuset.cpus', 'cpuset.mems']) writeFileSync(join(folder, file), readFileSync(join(hierarchy, file)));
    if (hierarchy === mountPoint) enableControllers(folder);
  }
}

function enableControllers(folder: string): void {
  for (const path of [mountPoint, folder])
    for (const controller of ['cpu', 'memory', 'pids', 'cpuset'])
      try {
        writeFileSync(join(path, 'cgroup.subtree_control'), `+${controller}`);
      } catch {
        // Enabled already, or held by a process in this very group; preflight says which are missing.
      }
}

/** Removes the cluster's cgroup with all below it; false when a folder stays because it still holds a process. */
export function removeCgroup(name: string): boolean {
  const folders = hierarchies().map((hierarchy) => join(hierarchy, name));
  for (const folder of folders) removeTree(folder);
  return folders.every((folder) => !existsSync(folder));
}

/** Removes the cgroups of clusters whose keeper is gone; returns their names. */
export function sweepCgroups(): string[] {
  const names = new Set<string>();
  for (const hierarchy of hierarchies())
    for (const name of readdirSync(hierarchy)) if (name.startsWith('cupel-') && ownerIsGone(name)) names.add(name);
  for (const name of names) removeCgroup(name);
  return [...names];
}

function removeTree(folder: string): void {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) if (entry.isDirectory()) removeTree(join(folder, entry.name));
    rmdirSync(folder);
  } catch {
    // Not there, or busy: the next sweep tries again.
  }
}
