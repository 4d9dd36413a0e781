import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** `make bench`: runs every `*.bench.ts` here, one after the other; each prints ratios against a baseline measured in the same run. */
const here = import.meta.dirname;
for (const file of readdirSync(here).filter((f) => f.endsWith('.bench.ts'))) {
  console.log(`\n${file}`);
  const code = await new Promise<number>((resolve) => {
    spawn(process.execPath, [join(here, file)], { stdio: 'inherit' }).on('close', (c) => resolve(c ?? 1));
  });
  if (code !== 0) process.exitCode = 1;
}
