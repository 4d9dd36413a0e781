import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { checkoutFolder } from '../src/config.ts';
import { makeManifest, rawCid } from '../src/manifest.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cupel-manifest-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('makeManifest', () => {
  test('a raw CID is CIDv1, raw, sha2-256, in base32', () => {
    const digest = createHash('sha256').update('hello world').digest();
    expect(rawCid(digest)).toBe('bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e');
  });

  test('lists size and hash of each file, sorted, and hashes its own bytes', async () => {
    await writeFile(join(folder, 'b.gguf'), 'hello world');
    await writeFile(join(folder, 'a.json'), '');
    const made = await makeManifest(folder, { name: 'm', files: ['b.gguf', 'a.json'], quantization: 'Q4_1' });
    expect(made.manifest).toMatchObject({ version: 1, name: 'm', quantization: 'Q4_1' });
    expect(made.manifest.files.map(({ path, size, sha256 }) => [path, size, sha256])).toEqual([
      ['a.json', 0, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
      ['b.gguf', 11, 'b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9'],
    ]);
    expect(JSON.parse(made.text)).toEqual(made.manifest);
    expect(made.sha256).toBe(createHash('sha256').update(made.text).digest('hex'));
  });

  test('makes the committed manifest of models/digits again, byte for byte', async () => {
    const digits = join(checkoutFolder, 'models/digits');
    const made = await makeManifest(digits, {
      name: 'digits',
      license: 'Apache-2.0',
      files: ['weights.bin', 'program.bin'],
      integer: { program: 'program.bin', weights: 'weights.bin' },
    });
    expect(made.text).toBe(await readFile(join(digits, 'cupel-manifest.json'), 'utf8'));
  });

  test('a missing file and a path that leaves the folder are refused', async () => {
    await expect(makeManifest(folder, { name: 'm', files: ['none'] })).rejects.toThrow('none');
    await writeFile(join(folder, 'f'), 'x');
    await expect(makeManifest(join(folder, '.'), { name: 'm', files: [`../${folder.split('/').at(-1)}/f`] })).rejects.toThrow(
      'relative path',
    );
  });
});
