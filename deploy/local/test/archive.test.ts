import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../src/command.ts';
import { type Image, imageBlobs, tarHeader, writeArchive } from '../src/image-archive.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cupel-archive-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function image(): Promise<Image> {
  const path = join(folder, 'layer.tar');
  const bytes = Buffer.from('not a real layer, 37 bytes of content');
  await writeFile(path, bytes);
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  return { reference: 'localhost/thing:1', config: { Entrypoint: ['/thing'] }, layers: [{ path, digest, size: bytes.length }] };
}

describe('writeArchive', () => {
  it('writes an OCI layout that tar reads, with every blob under its own hash', async () => {
    const thing = await image();
    const out = join(folder, 'out.tar');
    await writeArchive([thing, thing], createWriteStream(out), () => false);
    await run('tar', ['--extract', '--file', out, '--directory', folder]);
    const index: { manifests: { digest: string; annotations: Record<string, string> }[] } = JSON.parse(
      await readFile(join(folder, 'index.json'), 'utf8'),
    );
    expect(index.manifests[0]?.annotations['io.containerd.image.name']).toBe('localhost/thing:1');
    const names = imageBlobs(thing).map(({ digest }) => digest.slice('sha256:'.length));
    expect(names).toHaveLength(3);
    for (const name of names) {
      const content = await readFile(join(folder, 'blobs', 'sha256', name));
      expect(createHash('sha256').update(content).digest('hex')).toBe(name);
    }
  });

  it('leaves out the layers that the reader has', async () => {
    const thing = await image();
    const out = join(folder, 'out.tar');
    await writeArchive([thing], createWriteStream(out), () => true);
    const listing = await run('tar', ['--list', '--file', out]);
    expect(listing).not.toContain(thing.layers[0]?.digest.slice(7));
    expect(listing.match(/blobs\//g)).toHaveLength(2);
  });
});

describe('tarHeader', () => {
  it('refuses a name that does not fit', () => {
    expect(() => tarHeader('x'.repeat(101), 0)).toThrow('longer than 100');
  });
});
