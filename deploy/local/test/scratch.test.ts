import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { scratchFolder } from '../src/processes/scratch.ts';

it('removes what a killed process left, and nothing that lives', async () => {
  const kind = `test${process.pid}`;
  const dead = join(tmpdir(), `cupel-${kind}-999999999-abc`);
  await mkdir(dead);
  const first = await scratchFolder(kind);
  expect(existsSync(dead)).toBe(false);
  const second = await scratchFolder(kind);
  expect(existsSync(first)).toBe(true);
  for (const folder of [first, second]) await rm(folder, { recursive: true });
});
