import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A new temporary folder, named after this process. Folders of the same kind whose process is gone (killed before it could clear up)
 * are removed on the way.
 */
export async function scratchFolder(kind: string): Promise<string> {
  for (const name of await readdir(tmpdir())) {
    const [, owner] = new RegExp(`^cupel-${kind}-(\\d+)-`).exec(name) ?? [];
    // Another user's folder is theirs to remove.
    if (owner !== undefined && !existsSync(`/proc/${owner}`))
      await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
  }
  return mkdtemp(join(tmpdir(), `cupel-${kind}-${process.pid}-`));
}
