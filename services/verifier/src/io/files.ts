import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { WrongWeights } from '../replay/manifest.ts';
import type { WeightFolder } from '../replay/manifest.ts';

export const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A folder on disk; paths come from a manifest, whose schema keeps them inside. */
export const weightFolder = (path: string): WeightFolder => {
  const inside = async <T>(name: string, work: (full: string) => Promise<T>): Promise<T> => {
    try {
      return await work(join(path, name));
    } catch (cause) {
      const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
      throw new WrongWeights(`${path}/${name} cannot be read (${why}); mount the folder that holds the manifest and its files`, { cause });
    }
  };
  return {
    name: path,
    read: (name) => inside(name, (full) => readFile(full)),
    digest: (name) =>
      inside(name, async (full) => {
        const hash = createHash('sha256');
        let size = 0;
        const stream = createReadStream(full, { highWaterMark: 4 << 20 });
        stream.on('data', (chunk) => (size += chunk.length));
        await pipeline(stream, hash);
        return { size, sha256: hash.digest('hex') };
      }),
  };
};
