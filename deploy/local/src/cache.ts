import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Key of a cache entry: 20 hex digits of the sha256 over named inputs. The order of the names does not matter; every name and every
 * value does.
 */
export function cacheKey(inputs: Readonly<Record<string, string>>): string {
  const hash = createHash('sha256');
  for (const name of Object.keys(inputs).sort()) hash.update(JSON.stringify([name, inputs[name]]));
  return hash.digest('hex').slice(0, 20);
}

/**
 * The folder `<root>/<kind>/<key>`, built by `build` unless it is there. Built aside and renamed, so a folder that exists is complete;
 * under a lock, so that two checkouts do not build the same thing twice.
 * @param onWait called once if another process holds the lock.
 */
export async function cachedFolder(
  root: string,
  kind: string,
  key: string,
  build: (folder: string) => Promise<void>,
  onWait: () => void = () => undefined,
): Promise<string> {
  const parent = join(root, kind);
  const folder = join(parent, key);
  if (await exists(folder)) return folder;
  await mkdir(parent, { recursive: true });
  await using _lock = await lockFile(join(parent, `${key}.lock`), onWait);
  if (await exists(folder)) return folder;
  const partial = join(parent, `${key}.partial`);
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial);
  try {
    await build(partial);
    await rename(partial, folder);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
  return folder;
}

/** Removes all but the `keep` most recently used entries of a kind. Use `touch` to mark an entry as used. */
export async function pruneEntries(root: string, kind: string, keep: number): Promise<void> {
  const parent = join(root, kind);
  const names = (await readdir(parent).catch(() => [])).filter((name) => !name.includes('.'));
  const entries = await Promise.all(names.map(async (name) => ({ name, usedMs: (await stat(join(parent, name))).mtimeMs })));
  entries.sort((a, b) => b.usedMs - a.usedMs);
  for (const { name } of entries.slice(keep)) {
    await rm(join(parent, name), { recursive: true, force: true });
    await rm(join(parent, `${name}.lock`), { force: true });
  }
}

/** Marks an entry as used now. */
export async function touch(folder: string): Promise<void> {
  const now = new Date();
  await utimes(folder, now, now);
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * Holds an exclusive lock on a file until disposed. The lock is `flock(2)`, held by a child that ends with its stdin: the kernel
 * gives it back when we crash, so there are no stale locks.
 */
export async function lockFile(path: string, onWait: () => void = () => undefined): Promise<AsyncDisposable> {
  const holder = spawn('flock', ['--exclusive', path, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => holder.once('close', () => resolve()));
  const waiting = setTimeout(onWait, 300);
  try {
    await new Promise<void>((resolve, reject) => {
      holder.stdout.once('data', () => resolve());
      holder.once('error', (cause) => reject(new Error('flock is missing; install util-linux', { cause })));
      holder.once('exit', (code) => reject(new Error(`cannot lock ${path}: flock ended with code ${code}`)));
    });
  } finally {
    clearTimeout(waiting);
  }
  return {
    async [Symbol.asyncDispose]() {
      holder.stdin.end();
      await ended;
    },
  };
}
