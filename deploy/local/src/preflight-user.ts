import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { run } from './command.ts';
import { inheritedEnvironment } from './config.ts';
import { attempt, type Check, namespaceChecks } from './preflight-kernel.ts';

const orRoot = 'or run as root';
/** Pods run as ids up to 65534. */
const subordinateIds = 65_535;

/** What a user needs for a user namespace in which the node's root lives; the namespaces themselves are tried when all of it is there. */
export async function userChecks(): Promise<Check[]> {
  const user = userName();
  const idsOf = async (path: string): Promise<Check> =>
    subordinateIdsCheck(path, await readFile(path, 'utf8').catch(() => ''), user, String(process.getuid?.()));
  const checks = [await idMappers(), await idsOf('/etc/subuid'), await idsOf('/etc/subgid'), await userNamespace()];
  if (checks.some(({ ok }) => !ok)) return checks;
  const mapped = 'mount -t tmpfs t /run; touch /run/f; chown 65532:65532 /run/f';
  return [
    ...checks,
    await attempt('the ids of pods in a user namespace', mapped, `see subuid(5): the first range counts; ${orRoot}`),
    ...(await namespaceChecks(`kernel 5.11 or later, and no hidden parts of /proc (in a container: --privileged); ${orRoot}`)),
  ];
}

async function idMappers(): Promise<Check> {
  const found = await run('sh', ['-ec', 'command -v newuidmap; command -v newgidmap'], { env: inheritedEnvironment }).catch(
    () => undefined,
  );
  return {
    layer: 'cluster',
    name: 'newuidmap and newgidmap',
    ok: found !== undefined,
    found: found?.trim().split('\n').join(', ') ?? 'not found',
    remedy: `as root: apt-get install uidmap; ${orRoot}`,
  };
}

/** Judges the text of /etc/subuid or /etc/subgid (subuid(5)) for a user, known there by name or by number; unshare takes the first range. */
export function subordinateIdsCheck(path: string, text: string, user: string, uid: string): Check {
  const ranges = subordinateRanges(text);
  const range = ranges.find(({ owner }) => owner === user || owner === uid);
  const free = Math.max(100_000, ...ranges.map(({ start, count }) => start + count));
  const line = `${user}:${free}:65536`;
  const base = { layer: 'cluster', name: path } as const;
  if (range === undefined)
    return { ...base, ok: false, found: `no line for ${user}`, remedy: `as root: echo ${line} >>${path}; ${orRoot}` };
  const found = `${range.count} ids from ${range.start}`;
  if (range.count >= subordinateIds) return { ...base, ok: true, found, remedy: '' };
  return { ...base, ok: false, found: `${found}; ${subordinateIds} are needed`, remedy: `as root, make the line ${line}; ${orRoot}` };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.());
  }
}

async function userNamespace(): Promise<Check> {
  const base = { layer: 'cluster', name: 'user namespaces' } as const;
  try {
    await run('unshare', ['--user', '--map-root-user', '--mount', 'true']);
    return { ...base, ok: true, found: 'allowed', remedy: '' };
  } catch (error) {
    const settings: NamespaceSettings = Object.fromEntries(
      await Promise.all(
        namespaceSettings.map(async (name) => [name, await readFile(join('/proc/sys', ...name.split('.')), 'utf8').catch(() => undefined)]),
      ),
    );
    const refusal = refusingSetting(settings);
    const found = refusal?.found ?? (error instanceof Error ? error.message : String(error)).split('\n').at(-1) ?? 'refused';
    return { ...base, ok: false, found, remedy: `${refusal?.remedy ?? 'in a container, start it with --privileged'}; ${orRoot}` };
  }
}

function subordinateRanges(text: string): { owner: string; start: number; count: number }[] {
  return [...text.matchAll(/^([^:#\n]+):(\d+):(\d+)[ \t]*$/gm)].map(([, owner = '', start, count]) => ({
    owner,
    start: Number(start),
    count: Number(count),
  }));
}

/** Kernel settings that keep user namespaces from normal users; each absent where the kernel has no such setting. */
export interface NamespaceSettings {
  readonly 'kernel.unprivileged_userns_clone'?: string;
  readonly 'user.max_user_namespaces'?: string;
  readonly 'kernel.apparmor_restrict_unprivileged_userns'?: string;
}

const namespaceSettings = [
  'kernel.unprivileged_userns_clone',
  'user.max_user_namespaces',
  'kernel.apparmor_restrict_unprivileged_userns',
] as const satisfies readonly (keyof NamespaceSettings)[];

/** The setting that refuses a user namespace and what root would do about it; undefined when none of them does. */
export function refusingSetting(settings: NamespaceSettings): { found: string; remedy: string } | undefined {
  const wanted = {
    'kernel.unprivileged_userns_clone': { bad: '0', good: '1' },
    'user.max_user_namespaces': { bad: '0', good: '15000' },
    'kernel.apparmor_restrict_unprivileged_userns': { bad: '1', good: '0' },
  } as const;
  for (const name of namespaceSettings) {
    const { bad, good } = wanted[name];
    if (settings[name]?.trim() === bad) return { found: `refused: ${name} is ${bad}`, remedy: `as root: sysctl -w ${name}=${good}` };
  }
  return undefined;
}
