import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { cachedFolder, cacheKey } from './cache.ts';
import { run } from './command.ts';
import { cacheRoot, debianMirror, packageFolder } from './config.ts';
import { type Note, quiet } from './progress.ts';

const pinnedPackage = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9.+-]+$/),
  version: z.string().regex(/^[A-Za-z0-9.+:~-]+$/),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
const pinFile = z.strictObject({
  comment: z.string(),
  suite: z.string(),
  groups: z.strictObject({
    node: z.array(pinnedPackage),
    base: z.array(pinnedPackage),
    python: z.array(pinnedPackage),
    trace: z.array(pinnedPackage),
  }),
});

export type DebPins = z.infer<typeof pinFile>;
/** `node`: what runs the containers; `base`: C library and CA certificates of every image; `python`: the interpreter; `trace`: strace, for tests. */
export type DebGroup = keyof DebPins['groups'];

/** Reads the committed pins. @throws a ZodError that names the field which is wrong. */
export async function readDebPins(): Promise<DebPins> {
  return pinFile.parse(JSON.parse(await readFile(join(packageFolder, 'debs.json'), 'utf8')));
}

/**
 * Folder with the unpacked packages, one subfolder per group; nothing is installed on the machine. apt only carries the bytes: it runs
 * with a state of its own, on any distribution, and each file must have the pinned sha256.
 * @throws when a pinned version is no longer served or a checksum differs.
 */
export async function debsFolder(note: Note = quiet): Promise<string> {
  const pins = await readDebPins();
  return cachedFolder(cacheRoot, 'debs', cacheKey({ pins: JSON.stringify(pins) }), (folder) => fetchPackages(folder, pins, note));
}

async function fetchPackages(folder: string, pins: DebPins, note: Note): Promise<void> {
  const work = join(folder, 'apt');
  for (const part of ['state/lists/partial', 'cache/archives/partial', 'files']) await mkdir(join(work, part), { recursive: true });
  const options = await aptOptions(work, pins.suite);
  note('package lists');
  await run('apt-get', [...options, 'update']);
  const all = Object.values(pins.groups).flat();
  note(`${all.length} packages`);
  const wanted = all.map(({ name, version }) => `${name}=${version}`);
  await run('apt-get', [...options, 'download', ...wanted], { cwd: join(work, 'files') }).catch(async (cause: unknown) => {
    throw new Error(await missingVersions(options, pins), { cause });
  });
  const bySum = new Map<string, string>();
  for (const file of await readdir(join(work, 'files'))) {
    const path = join(work, 'files', file);
    bySum.set(
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
      path,
    );
  }
  note('unpack');
  for (const [group, packages] of Object.entries(pins.groups)) {
    const target = join(folder, group);
    await mkdir(target);
    for (const { name, version, sha256 } of packages) {
      const path = bySum.get(sha256);
      if (path === undefined)
        throw new Error(`${name} ${version}: what the mirror sent does not have the sha256 pinned in debs.json; nothing was unpacked`);
      await run('dpkg-deb', ['--extract', path, target]);
    }
  }
  await rm(work, { recursive: true });
}

/**
 * Where Debian's packages come from: `$CUPEL_DEBIAN_MIRROR`, else what this machine's own apt uses.
 * @throws when neither names a Debian mirror, with the remedy.
 */
async function mirrors(): Promise<{ main: string; security: string }> {
  const given = debianMirror?.replace(/\/+$/, '');
  const lists = await Promise.all(
    [
      '/etc/apt/sources.list',
      ...(await readdir('/etc/apt/sources.list.d').catch(() => [])).map((name) => `/etc/apt/sources.list.d/${name}`),
    ].map((path) => readFile(path, 'utf8').catch(() => '')),
  );
  const urls = given === undefined ? [...lists.join('\n').matchAll(/https?:\/\/[^\s"']+/g)].map(([url]) => url.replace(/\/+$/, '')) : [];
  const main = given ?? urls.find((url) => url.endsWith('/debian'));
  if (main === undefined)
    throw new Error(
      "the node runs on Debian's packages and this machine's apt names no Debian mirror; set CUPEL_DEBIAN_MIRROR to one, for instance http://<mirror>/debian",
    );
  return { main, security: urls.find((url) => url.endsWith('/debian-security')) ?? main.replace(/\/debian$/, '/debian-security') };
}

async function aptOptions(work: string, suite: string): Promise<string[]> {
  // Signatures are not asked for: the keys of another distribution are not on every machine, and the pinned sha256 says more.
  const line = (root: string, name: string): string => `deb [trusted=yes arch=amd64] ${root} ${name} main\n`;
  const roots = await mirrors();
  const sources = line(roots.main, suite) + line(roots.main, `${suite}-updates`) + line(roots.security, `${suite}-security`);
  await writeFile(join(work, 'sources.list'), sources);
  await writeFile(join(work, 'state', 'status'), '');
  await chmod(work, 0o755);
  const settings = {
    'Dir::State': join(work, 'state'),
    'Dir::State::status': join(work, 'state', 'status'),
    'Dir::Cache': join(work, 'cache'),
    'Dir::Etc::sourcelist': join(work, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::Etc::preferences': '-',
    'Dir::Etc::preferencesparts': '-',
    'APT::Architecture': 'amd64',
    'APT::Architectures': 'amd64',
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

async function missingVersions(options: string[], pins: DebPins): Promise<string> {
  const lines: string[] = [];
  for (const { name, version } of Object.values(pins.groups).flat()) {
    const listing = await run('apt-cache', [...options, 'madison', name]).catch(() => '');
    const served = listing
      .split('\n')
      .map((row) => row.split('|')[1]?.trim() ?? '')
      .filter((text) => text !== '');
    if (!served.includes(version)) lines.push(`  ${name}: pinned ${version}, served ${served.join(', ') || 'nothing'}`);
  }
  if (lines.length === 0) return `cannot download the pinned Debian packages from the mirror; is the network there?`;
  return `the mirror no longer serves some pinned versions; put the served version and its sha256 (apt-cache show) into deploy/local/debs.json:\n${lines.join('\n')}`;
}
