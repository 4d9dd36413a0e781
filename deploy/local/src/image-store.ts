import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheKey, exists, lockFile, pruneEntries, touch } from './cache.ts';
import { run } from './command.ts';
import { cacheRoot } from './config.ts';
import type { Image } from './image-archive.ts';
import { removeFolder, runAsNodeRoot } from './rootless.ts';

/*
 * containerd's own folder with all images imported and unpacked, kept in the cache between runs. A cluster works on a copy whose big
 * files are hard links: nothing ever writes to them (content is addressed by its hash, lower layers are read-only), and the small
 * databases are copied for real. So two clusters never share anything that changes.
 */

const kind = 'image-stores';
const kept = 3;

export function storeKey(images: readonly Image[]): string {
  return cacheKey(Object.fromEntries(images.map(({ reference }) => [reference, ''])));
}

/**
 * Puts the store for these images, or else the one used last, to `target`.
 * @returns whether it has all of these images.
 */
export async function takeStore(images: readonly Image[], target: string, root: string = cacheRoot): Promise<{ complete: boolean }> {
  const exact = join(root, kind, storeKey(images));
  const source = (await exists(exact)) ? exact : await latestStore(root);
  if (source === undefined) {
    await mkdir(target, { recursive: true });
    return { complete: false };
  }
  await cloneStore(source, target);
  if (source === exact) await touch(exact);
  return { complete: source === exact };
}

/** Keeps the store at `source`, whose containerd must not be running, for later clusters with the same images. */
export async function keepStore(images: readonly Image[], source: string, root: string = cacheRoot): Promise<void> {
  const folder = join(root, kind, storeKey(images));
  await mkdir(join(root, kind), { recursive: true });
  {
    await using _lock = await lockFile(`${folder}.lock`);
    if (await exists(folder)) return;
    await rm(`${folder}.partial`, { recursive: true, force: true });
    await cloneStore(source, `${folder}.partial`);
    // The copy has the times of its source, by which it would pass for old.
    await touch(`${folder}.partial`);
    await rename(`${folder}.partial`, folder);
  }
  await pruneEntries(root, kind, kept);
}

/** Digests (`sha256:…`) of the content that a store has. */
export async function storedBlobs(store: string): Promise<Set<string>> {
  const folder = join(store, 'io.containerd.content.v1.content', 'blobs', 'sha256');
  return new Set((await readdir(folder).catch(() => [])).map((name) => `sha256:${name}`));
}

async function latestStore(root: string): Promise<string | undefined> {
  const parent = join(root, kind);
  const names = (await readdir(parent).catch(() => [])).filter((name) => !name.includes('.'));
  let latest: { path: string; usedMs: number } | undefined;
  for (const name of names) {
    const usedMs = (await stat(join(parent, name))).mtimeMs;
    if (latest === undefined || usedMs > latest.usedMs) latest = { path: join(parent, name), usedMs };
  }
  return latest?.path;
}

async function cloneStore(source: string, target: string): Promise<void> {
  // A user who may not have a user namespace has no files of another id either.
  const runAs = await runAsNodeRoot('true', []).then(
    () => runAsNodeRoot,
    () => run,
  );
  // Another file system cannot hard-link; there every file is copied.
  await runAs('cp', ['--archive', '--link', source, target]).catch(async () => {
    await removeFolder(target);
    await runAs('cp', ['--archive', '--reflink=auto', source, target]);
  });
  const separate = 'for file; do cp -p "$file" "$file.copy" && mv "$file.copy" "$file" || exit 1; done';
  await runAs('find', [target, '-name', '*.db', '-exec', 'sh', '-c', separate, 'sh', '{}', '+']);
}
