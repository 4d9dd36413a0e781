import { spawn } from 'node:child_process';

/** `make check`: everything that can be said without running the product, side by side, in seconds. */
const checks: readonly [name: string, command: string, args: readonly string[]][] = [
  ['types', 'tsc', ['-p', 'tsconfig.json', '--pretty', 'false']],
  ['lint', 'oxlint', ['--type-aware', '--deny-warnings']],
  ['format', 'oxfmt', ['--check', '.']],
  ['crds are generated', process.execPath, ['packages/protocol/scripts/crds.ts', '--check']],
  ['abis are generated', process.execPath, ['contracts/script/abi.ts', '--check']],
  ['architecture', 'vitest', ['run', '--project', 'architecture', '--reporter=dot']],
];

const run = (command: string, args: readonly string[]) =>
  new Promise<{ code: number; output: string }>((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', (error) => resolve({ code: 127, output: String(error) }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });

let failed = 0;
for (const [name, command, args] of checks) {
  const started = performance.now();
  const { code, output } = await run(command, args);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (code !== 0) {
    failed += 1;
    console.log(output.trimEnd());
  }
  console.log(`${code === 0 ? 'ok  ' : 'FAIL'}  ${name}  ${seconds} s`);
}
if (failed > 0) {
  console.log(`check: ${failed} of ${checks.length} failed`);
  process.exitCode = 1;
}
