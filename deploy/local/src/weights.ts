import { link, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedFolder, cacheKey } from './cache.ts';
import { cacheRoot } from './config.ts';
import { type Note, quiet } from './progress.ts';
import { wheelsFolder } from './wheels.ts';

/** Where a model's weights lie on this machine: a folder for a `local` PersistentVolume, and the file in it. */
export interface Weights {
  readonly folder: string;
  readonly file: string;
}

/** SmolLM2-135M-Instruct in Q4_1 (98,362,432 bytes), a chat model that answers on two cores. */
export async function smollm2Weights(note: Note = quiet): Promise<Weights> {
  const models = join(await wheelsFolder(note), 'models');
  const file = (await readdir(models)).find((name) => name.startsWith('SmolLM2'));
  if (file === undefined) throw new Error(`no SmolLM2 weights in ${models}; remove that folder and try again`);
  const folder = await cachedFolder(cacheRoot, 'weights', `smollm2-${cacheKey({ models })}`, async (partial) => {
    await mkdir(partial, { recursive: true });
    await link(join(models, file), join(partial, file));
  });
  return { folder, file };
}
