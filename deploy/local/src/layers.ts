import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedFolder, touch } from './cache.ts';
import { run } from './command.ts';
import { cacheRoot } from './config.ts';
import { type Note, quiet } from './progress.ts';

/** One layer of an image, not yet built. The key covers everything that its files depend on. */
export interface LayerSource {
  readonly name: string;
  readonly key: string;
  /** Fills the folder that becomes the layer. */
  readonly fill: (root: string) => Promise<void>;
}

/** A layer in the cache: an uncompressed tar and its digest (`sha256:…`, which is also its diffID). */
export interface Layer {
  readonly path: string;
  readonly digest: string;
  readonly size: number;
}

/** Builds a layer, or takes it from the cache. The tar does not depend on times, owners or the order of files. */
export async function buildLayer(source: LayerSource, note: Note = quiet): Promise<Layer> {
  const folder = await cachedFolder(cacheRoot, 'layers', `${source.name}-${source.key}`, async (partial) => {
    note(`layer ${source.name}`);
    const root = join(partial, 'root');
    const path = join(partial, 'layer.tar');
    await mkdir(root);
    await source.fill(root);
    const names = (await readdir(root)).sort();
    const flat = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--hard-dereference'];
    await run('tar', [...flat, '--format=gnu', '--directory', root, '--create', '--file', path, ...names]);
    await writeFile(join(partial, 'digest'), await fileDigest(path));
    await rm(root, { recursive: true });
  });
  await touch(folder);
  const path = join(folder, 'layer.tar');
  return { path, digest: await readFile(join(folder, 'digest'), 'utf8'), size: (await stat(path)).size };
}

async function fileDigest(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

/** Digest over relative names and contents of all files below the folders, for cache keys: equal in every checkout. */
export async function treeDigest(folders: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const [index, folder] of folders.entries()) {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    for (const file of files.sort()) {
      hash.update(JSON.stringify([index, file.slice(folder.length + 1)])).update(await readFile(file));
    }
  }
  return hash.digest('hex');
}
