import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { MANIFEST_FILE } from '@cupel/protocol/wire/manifest';

import { type HashedFile, ModelRefused, parseManifest, type VerifiedModel, verifyModel } from '../load/verify.ts';

/**
 * Reads and checks the model in `folder` by its cupel-manifest.json. The bytes that are hashed are the bytes that run.
 * @throws ModelRefused naming the file and what is wrong with it.
 */
export async function openModelFolder(folder: string): Promise<VerifiedModel> {
  const manifest = parseManifest(MANIFEST_FILE, (await read(folder, MANIFEST_FILE)).toString('utf8'));
  const files: HashedFile[] = [];
  for (const { path } of manifest.files) {
    const bytes = await read(folder, path);
    files.push({ path, bytes, sha256: createHash('sha256').update(bytes).digest('hex') });
  }
  return verifyModel(manifest, files);
}

async function read(folder: string, path: string): Promise<Buffer> {
  try {
    return await readFile(join(folder, path));
  } catch (cause) {
    throw new ModelRefused(path, `cannot be read in ${folder}; is the model mounted there?`, { cause });
  }
}
