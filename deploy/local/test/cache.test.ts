import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cachedFolder, cacheKey, pruneEntries, touch } from '../src/cache.ts';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cupel-cache-test-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe('cacheKey', () => {
  it('does not depend on the order of the inputs', () => {
    expect(cacheKey({ a: '1', b: '2' })).toBe(cacheKey({ b: '2', a: '1' }));
  });
  it('depends on every name and every value, and on where one ends', () => {
    const keys = [{ a: '1' }, { a: '2' }, { b: '1' }, { a: '1', b: '' }, { a: '', b: '1' }, { ab: '1' }].map((inputs) =>
      cacheKey(Object.fromEntries(Object.entries(inputs))),
    );
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('cachedFolder', () => {
  it('builds once, also when many ask at the same time', async () => {
    let builds = 0;
    const build = async (folder: string): Promise<void> => {
      builds += 1;
      await sleep(50);
      await writeFile(join(folder, 'file'), 'text');
    };
    const folders = await Promise.all([1, 2, 3].map(() => cachedFolder(root, 'kind', 'key', build)));
    expect(builds).toBe(1);
    expect(new Set(folders).size).toBe(1);
    expect(await readFile(join(folders[0] ?? '', 'file'), 'utf8')).toBe('text');
  });

  it('leaves nothing that looks complete when the build fails, and tries again', async () => {
    const failing = cachedFolder(root, 'kind', 'key', async (folder) => {
      await writeFile(join(folder, 'half'), '');
      throw new Error('no luck');
    });
    await expect(failing).rejects.toThrow('no luck');
    const folder = await cachedFolder(root, 'kind', 'key', async () => undefined);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('pruneEntries', () => {
  it('keeps those that were used last', async () => {
    for (const key of ['one', 'two', 'three']) {
      await cachedFolder(root, 'kind', key, async () => undefined);
      await sleep(15);
    }
    await touch(join(root, 'kind', 'one'));
    await pruneEntries(root, 'kind', 2);
    await expect(stat(join(root, 'kind', 'two'))).rejects.toThrow('ENOENT');
    await Promise.all(['one', 'three'].map((key) => stat(join(root, 'kind', key))));
  });
});
