import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import { verificationRoot } from '../src/root.ts';
import { loadModel, run } from '../src/run.ts';

const folder = join(import.meta.dirname, '../../../models/digits');
const read = (name: string): Buffer => readFileSync(join(folder, name));
const model = loadModel(read('program.bin'), read('weights.bin'));

// Not scripts/digits.ts: a mistake in how the model was trained must not repeat itself here.
function heldOut(label: number): Uint8Array[] {
  const file = fileURLToPath(import.meta.resolve(`mnist/src/digits/${label}.json`));
  const { data }: { data: number[] } = JSON.parse(readFileSync(file, 'utf8'));
  const images: Uint8Array[] = [];
  for (let at = 4 * 784; at + 784 <= data.length; at += 5 * 784) {
    const image = data.slice(at, at + 784).map((value) => Math.round(value * 255));
    const pooled = Array.from({ length: 196 }, (_, i) => {
      const corner = 56 * Math.floor(i / 14) + 2 * (i % 14);
      return Math.floor([0, 1, 28, 29].reduce((sum, off) => sum + (image[corner + off] ?? 0), 0) / 4 + 0.5);
    });
    images.push(Uint8Array.from(pooled));
  }
  return images;
}

const classOf = (output: Uint8Array): number => output.indexOf(Math.max(...output));

describe('models/digits', () => {
  test('is right on at least 93 % of the held-out digits', { timeout: 60_000 }, () => {
    let right = 0;
    let seen = 0;
    for (let label = 0; label < 10; label++) {
      for (const pixels of heldOut(label)) {
        seen++;
        if (classOf(run(model, pixels)) === label) right++;
      }
    }
    expect(seen).toBeGreaterThan(1900);
    expect(right / seen).toBeGreaterThanOrEqual(0.93);
  });

  test('samples.json holds held-out images with their labels, and the model knows nearly all of them', () => {
    const { width, height, samples }: { width: number; height: number; samples: { label: number; pixels: string }[] } = JSON.parse(
      read('samples.json').toString('utf8'),
    );
    expect([width, height]).toEqual([14, 14]);
    expect(samples.length).toBeGreaterThanOrEqual(100);
    const known = new Map(
      Array.from({ length: 10 }, (_, label) => [label, new Set(heldOut(label).map((image) => Buffer.from(image).toString('base64')))]),
    );
    for (const sample of samples) expect(known.get(sample.label)?.has(sample.pixels)).toBe(true);
    const right = samples.filter(({ label, pixels }) => classOf(run(model, Buffer.from(pixels, 'base64'))) === label);
    expect(right.length / samples.length).toBeGreaterThanOrEqual(0.93);
  });

  test('the manifest agrees with the files', () => {
    const manifest: {
      version: number;
      files: { path: string; size: number; sha256: string }[];
      integer: { program: string; weights: string; verificationRoot: string };
    } = JSON.parse(read('cupel-manifest.json').toString('utf8'));
    expect(manifest.version).toBe(1);
    expect(manifest.files.map((file) => file.path).toSorted()).toEqual(['program.bin', 'weights.bin']);
    for (const file of manifest.files) {
      const bytes = read(file.path);
      expect(bytes.length).toBe(file.size);
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(file.sha256.replace(/^0x/, ''));
    }
    expect(manifest.integer).toEqual({
      program: 'program.bin',
      weights: 'weights.bin',
      verificationRoot: verificationRoot(read('program.bin'), read('weights.bin')),
    });
  });
});
