import { createWriteStream } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheKey, pruneEntries } from './cache.ts';
import { cacheRoot } from './config.ts';
import { type Image, type ImageConfig, writeArchive } from './image-archive.ts';
import { imageTable } from './image-table.ts';
import { buildLayer, type LayerSource } from './layers.ts';
import { type Note, quiet } from './progress.ts';

/** How an image is made: its layers from the lowest to the highest, and what runs in it. */
export interface ImageRecipe {
  readonly layers: readonly LayerSource[];
  readonly config: ImageConfig;
}

// About ten states of the sources; older layers are built again when they are asked for.
const keptLayers = 40;

export type ImageName = keyof typeof imageTable;
export const imageNames = Object.keys(imageTable) as ImageName[];

/** Builds what the cache lacks and returns the images; costs less than a second when nothing has changed. */
export async function buildImages(names: readonly ImageName[] = imageNames, note: Note = quiet): Promise<Record<string, Image>> {
  const images: Record<string, Image> = {};
  for (const name of names) {
    const recipe = await imageTable[name](note);
    const layers = [];
    for (const layer of recipe.layers) layers.push(await buildLayer(layer, note));
    images[name] = { reference: reference(name, recipe), config: recipe.config, layers };
  }
  await pruneEntries(cacheRoot, 'layers', keptLayers);
  return images;
}

/**
 * Writes images for use elsewhere: `<folder>/<name>.tar` is an OCI archive for `docker load`, `podman load` or `skopeo copy`;
 * `<folder>/<name>/<n>.tar` are its layers, over which `deploy/local/images/Dockerfile` builds the same image.
 */
export async function exportImages(images: Readonly<Record<string, Image>>, folder: string): Promise<void> {
  for (const [name, image] of Object.entries(images)) {
    await mkdir(join(folder, name), { recursive: true });
    for (const [index, { path }] of image.layers.entries()) await copyFile(path, join(folder, name, `${index}.tar`));
    await writeArchive([image], createWriteStream(join(folder, `${name}.tar`)), () => false);
  }
}

function reference(name: string, recipe: ImageRecipe): string {
  const key = cacheKey({ config: JSON.stringify(recipe.config), layers: recipe.layers.map(({ key: layer }) => layer).join(' ') });
  return `localhost/${name}:${key.slice(0, 12)}`;
}
