import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cacheKey, exists } from './cache.ts';
import { run } from './command.ts';
import { checkoutFolder, inheritedEnvironment } from './config.ts';
import { type LayerSource, treeDigest } from './layers.ts';

/** Folders of the workspace whose sources run in the cluster. */
const rooms = ['services', 'packages'] as const;

/** Further files that services read at run time, relative to the checkout; absent ones are skipped. */
const extras = ['crds'] as const;

// The services and the packages of ours that they depend on; secp256k1 comes with a prebuilt library.
const install = ['install', '--prod', '--frozen-lockfile', '--ignore-scripts', '--filter-prod', '{./services/*}...'];

/**
 * The two layers of our services below /app: dependencies (big, changed seldom) and sources (small, changed often). A service runs as
 * `node services/<name>/src/main.ts` in /app.
 */
export async function workspaceLayers(checkout: string = checkoutFolder): Promise<LayerSource[]> {
  const manifests = await workspaceManifests(checkout);
  const texts: Record<string, string> = {};
  for (const path of manifests) texts[path] = await readFile(join(checkout, path), 'utf8');
  const sources: string[] = [];
  for (const room of rooms)
    for (const name of await readdir(join(checkout, room)))
      if (await exists(join(checkout, room, name, 'src'))) sources.push(join(room, name, 'src'));
  for (const extra of extras) if (await exists(join(checkout, extra))) sources.push(extra);
  return [
    {
      name: 'dependencies',
      key: cacheKey({ ...texts, install: [...install, 'no types'].join(' ') }),
      fill: (root) => installDependencies(checkout, manifests, root),
    },
    {
      name: 'sources',
      key: cacheKey({
        files: await treeDigest(sources.map((path) => join(checkout, path))),
        checkout: sources.join(' '),
      }),
      fill: async (root) => {
        for (const path of sources) await cp(join(checkout, path), join(root, 'app', path), { recursive: true });
      },
    },
  ];
}

/** Every file that decides what is installed: lockfile, workspace file, and each room's package.json. */
async function workspaceManifests(checkout: string): Promise<string[]> {
  const found = ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json'];
  const add = async (path: string): Promise<void> => {
    if (await exists(join(checkout, path, 'package.json'))) found.push(join(path, 'package.json'));
  };
  for (const parent of ['packages', 'services', 'test'])
    for (const name of (await readdir(join(checkout, parent))).sort()) await add(join(parent, name));
  for (const path of ['contracts', 'deploy/local']) await add(path);
  return found;
}

async function installDependencies(checkout: string, manifests: readonly string[], root: string): Promise<void> {
  const manifest: { config: { pnpm: string } } = JSON.parse(await readFile(join(checkout, 'package.json'), 'utf8'));
  const work = await mkdtemp(join(tmpdir(), 'cupel-image-'));
  try {
    for (const path of manifests) {
      if (path === 'package.json') continue;
      await mkdir(dirname(join(work, path)), { recursive: true });
      await writeFile(join(work, path), await readFile(join(checkout, path)));
    }
    // Without the field: pnpm would want to note itself in the frozen lockfile.
    await writeFile(join(work, 'package.json'), JSON.stringify(manifest));
    await run('npx', ['--yes', manifest.config.pnpm, ...install], { cwd: work, env: { ...inheritedEnvironment, CI: 'true' } });
    await mkdir(join(root, 'app'), { recursive: true });
    // Nothing in the cluster reads types or source maps, which are more than half of the bytes.
    const filter = (path: string): boolean => !/\.(map|d\.ts|d\.cts|d\.mts)$/.test(path);
    for (const path of ['node_modules', 'services', 'packages', 'package.json'])
      await cp(join(work, path), join(root, 'app', path), { recursive: true, verbatimSymlinks: true, filter });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
