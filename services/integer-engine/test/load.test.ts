import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { readEngineConfig } from '../src/config.ts';
import { openModelFolder } from '../src/io/model-folder.ts';
import { digits, digitsFolder } from './fixture.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cupel-engine-'));
  await cp(digitsFolder, folder, { recursive: true });
});
afterEach(() => rm(folder, { recursive: true }));

const rewriteManifest = async (
  change: (manifest: { integer?: { verificationRoot: string }; files: { path: string; sha256: string }[] }) => void,
) => {
  const path = join(folder, 'cupel-manifest.json');
  const manifest = JSON.parse(await readFile(path, 'utf8'));
  change(manifest);
  await writeFile(path, JSON.stringify(manifest));
};

describe('openModelFolder', () => {
  test('opens what the manifest describes', async () => {
    const opened = await openModelFolder(folder);
    expect(opened.model).toEqual(digits);
    expect(opened.verificationRoot).toMatch(/^0x[0-9a-f]{64}$/);
  });

  test('one flipped weight bit is refused', async () => {
    const path = join(folder, 'weights.bin');
    const bytes = await readFile(path);
    bytes[5000] = (bytes[5000] ?? 0) ^ 1;
    await writeFile(path, bytes);
    await expect(openModelFolder(folder)).rejects.toThrow(/^weights\.bin: want sha256 [0-9a-f]{64} by the manifest, got /);
  });

  test('a shorter file is refused', async () => {
    await writeFile(join(folder, 'program.bin'), 'CUPI');
    await expect(openModelFolder(folder)).rejects.toThrow('program.bin: want 80 bytes by the manifest, got 4');
  });

  test('another verification root is refused', async () => {
    await rewriteManifest((manifest) => {
      if (manifest.integer) manifest.integer.verificationRoot = `0x${'11'.repeat(32)}`;
    });
    await expect(openModelFolder(folder)).rejects.toThrow('weights.bin: want verificationRoot 0x1111');
  });

  test('missing files, no manifest, a manifest of another kind, one that leaves its weights out', async () => {
    await rewriteManifest((manifest) => manifest.files.pop());
    await expect(openModelFolder(folder)).rejects.toThrow('cupel-manifest.json: files: "weights.bin" is not listed');
    await rewriteManifest((manifest) => delete manifest.integer);
    await expect(openModelFolder(folder)).rejects.toThrow('cupel-manifest.json: integer: missing');
    await writeFile(join(folder, 'cupel-manifest.json'), '{"version":2}');
    await expect(openModelFolder(folder)).rejects.toThrow('cupel-manifest.json: version');
    await writeFile(join(folder, 'cupel-manifest.json'), 'x');
    await expect(openModelFolder(folder)).rejects.toThrow('cupel-manifest.json: not JSON');
    await rm(join(folder, 'cupel-manifest.json'));
    await expect(openModelFolder(folder)).rejects.toThrow('cupel-manifest.json: cannot be read');
  });
});

describe('readEngineConfig', () => {
  test('defaults of the engine contract', () => {
    expect(readEngineConfig({ CUPEL_MODEL_NAME: 'digits' })).toEqual({ port: 8000, modelFolder: '/models', modelName: 'digits' });
  });

  test.each([
    [{}, 'CUPEL_MODEL_NAME'],
    [{ CUPEL_MODEL_NAME: 'digits', PORT: '80a' }, 'PORT'],
    [{ CUPEL_MODEL_NAME: 'digits', PORT: '65536' }, 'PORT'],
    [{ CUPEL_MODEL_NAME: 'digits', MODEL_DIR: '' }, 'MODEL_DIR'],
  ])('%j names %s', (env, name) => {
    expect(() => readEngineConfig(env)).toThrow(name);
  });
});
