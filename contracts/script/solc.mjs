#!/usr/bin/env node
// Forge expects a native solc; this answers as one, with npm's WebAssembly build behind it (no download, pinned by the lockfile).
import { readFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';

const VERSION = '0.8.37+commit.f401782d.Linux.g++';

// process.stdout.write followed by an exit cuts a pipe at 128 KiB; a synchronous loop does not.
function writeAll(text) {
  const bytes = Buffer.from(text);
  let offset = 0;
  while (offset < bytes.length) {
    try {
      offset += writeSync(1, bytes, offset);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

if (process.argv.includes('--version')) {
  writeAll(`solc, the solidity compiler commandline interface\nVersion: ${VERSION}\n`);
} else if (process.argv.includes('--standard-json')) {
  const solc = createRequire(import.meta.url)('solc');
  writeAll(solc.compile(readFileSync(0, 'utf8')));
} else {
  process.stderr.write('solc wrapper: only --version and --standard-json are supported\n');
  process.exitCode = 1;
}
