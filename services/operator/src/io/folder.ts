import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join, sep } from 'node:path';

import { ManifestMismatch } from '../manifest/verify.ts';
import type { FolderPort } from '../manifest/verify.ts';

const CHUNK = 4 << 20;

/** A folder on disk. Symbolic links are refused, at the end of a path and on its way. */
export const openFolder = async (root: string): Promise<FolderPort> => {
  const base = await realpath(root);
  const withFile = async <T>(path: string, work: (file: FileHandle, size: number) => Promise<T>): Promise<T> => {
    const full = join(base, path);
    let file: FileHandle;
    try {
      if (!full.startsWith(base + sep) || (await realpath(full)) !== full)
        throw new ManifestMismatch(path, 'it is, or lies behind, a symbolic link; put a plain file there');
      file = await open(full, constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (error) {
      if (error instanceof ManifestMismatch) throw error;
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
      throw new ManifestMismatch(path, code === 'ENOENT' ? 'it is missing' : `it cannot be read (${code})`);
    }
    try {
      const info = await file.stat();
      if (!info.isFile()) throw new ManifestMismatch(path, 'it is not a plain file');
      return await work(file, info.size);
    } finally {
      await file.close();
    }
  };
  return {
    read: (path, limit) =>
      withFile(path, async (file, size) => {
        if (size > limit) throw new ManifestMismatch(path, `it has ${size} bytes, more than the ${limit} that are allowed`);
        return file.readFile();
      }),
    digest: (path) =>
      withFile(path, async (file) => {
        const hash = createHash('sha256');
        const buffer = Buffer.allocUnsafe(CHUNK);
        let size = 0;
        for (;;) {
          const { bytesRead } = await file.read(buffer, 0, CHUNK, null);
          if (bytesRead === 0) return { size, sha256: hash.digest('hex') };
          hash.update(buffer.subarray(0, bytesRead));
          size += bytesRead;
        }
      }),
  };
};
