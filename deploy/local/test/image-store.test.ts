import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Image } from '../src/image-archive.ts';
import { keepStore, storeKey, takeStore } from '../src/image-store.ts';

const images = (...tags: string[]): Image[] => tags.map((tag) => ({ reference: `localhost/x:${tag}`, config: {}, layers: [] }));
const inode = async (path: string): Promise<number> => (await stat(path)).ino;

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cupel-store-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function store(name: string): Promise<string> {
  const folder = join(root, name);
  await mkdir(join(folder, 'blobs'), { recursive: true });
  await mkdir(join(folder, 'metadata'));
  await writeFile(join(folder, 'blobs', 'layer'), name);
  await writeFile(join(folder, 'metadata', 'meta.db'), name);
  return folder;
}

describe('the image store', () => {
  it('starts empty, then gives copies whose content is shared and whose databases are not', async () => {
    expect(await takeStore(images('1'), join(root, 'first'), root)).toEqual({ complete: false });
    expect(await readdir(join(root, 'first'))).toEqual([]);
    const source = await store('source');
    await keepStore(images('1'), source, root);
    expect(await takeStore(images('1'), join(root, 'a'), root)).toEqual({ complete: true });
    expect(await inode(join(root, 'a', 'blobs', 'layer'))).toBe(await inode(join(source, 'blobs', 'layer')));
    expect(await inode(join(root, 'a', 'metadata', 'meta.db'))).not.toBe(await inode(join(source, 'metadata', 'meta.db')));
    await writeFile(join(root, 'a', 'metadata', 'meta.db'), 'changed');
    expect(await readFile(join(root, 'image-stores', storeKey(images('1')), 'metadata', 'meta.db'), 'utf8')).toBe('source');
  });

  it('for other images gives the store used last, and never forgets the one just kept', async () => {
    const source = await store('source');
    for (const tag of ['1', '2', '3', '4']) {
      // Each is a copy of the former, as in a cluster whose sources change; times are copied too.
      await keepStore(images(tag), source, root);
      await rm(join(root, 'work'), { recursive: true, force: true });
      expect(await takeStore(images(tag), join(root, 'work'), root)).toEqual({ complete: true });
    }
    const kept = (await readdir(join(root, 'image-stores'))).filter((name) => !name.includes('.'));
    expect(new Set(kept)).toEqual(new Set(['2', '3', '4'].map((tag) => storeKey(images(tag)))));
    expect(await takeStore(images('5'), join(root, 'next'), root)).toEqual({ complete: false });
    expect(await readFile(join(root, 'next', 'blobs', 'layer'), 'utf8')).toBe('source');
  });

  it('tells sets of images apart, whatever their order', () => {
    expect(storeKey(images('1', '2'))).toBe(storeKey(images('2', '1')));
    expect(storeKey(images('1', '2'))).not.toBe(storeKey(images('1')));
  });
});
