/**
 * Runs the pinned forge with the pinned solc.
 *
 *   node contracts/script/forge.ts build [forge arguments]
 *   node contracts/script/forge.ts test [--json <report path>] [forge arguments]
 *
 * Exits with forge's own status. With `--json` the report is forge's JSON: suite → test_results → { status: Success | Failure | Skipped }.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const contractsDir = resolve(dirname(fileURLToPath(import.meta.url)), '..');

function forgeBinary(): string {
  const manifest = createRequire(import.meta.url).resolve('@foundry-rs/forge-linux-amd64/package.json');
  return resolve(dirname(manifest), 'bin', 'forge');
}

/** Runs forge in contracts/. The solc wrapper's shebang finds this very Node through the PATH. */
function forge(args: readonly string[], capture: boolean): Promise<{ code: number; stdout: string }> {
  return new Promise((done, fail) => {
    const child = spawn(forgeBinary(), args, {
      cwd: contractsDir,
      stdio: ['ignore', capture ? 'pipe' : 'inherit', 'inherit'],
      env: {
        ...process.env,
        PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`,
        FOUNDRY_DISABLE_NIGHTLY_WARNING: '1',
      },
    });
    const chunks: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', fail);
    child.on('close', (code) => done({ code: code ?? 1, stdout: Buffer.concat(chunks).toString('utf8') }));
  });
}

interface TestResult {
  readonly status: 'Success' | 'Failure' | 'Skipped';
  readonly reason?: string | null;
}
type Report = Readonly<Record<string, { readonly test_results: Readonly<Record<string, TestResult>> }>>;

function summarise(report: Report): string {
  const counts = { Success: 0, Failure: 0, Skipped: 0 };
  for (const [suite, { test_results: results }] of Object.entries(report)) {
    for (const [test, result] of Object.entries(results)) {
      counts[result.status] += 1;
      if (result.status === 'Failure') console.log(`FAIL ${suite} ${test}: ${result.reason ?? 'no reason given'}`);
    }
  }
  return `forge: ${counts.Success} passed, ${counts.Failure} failed, ${counts.Skipped} skipped`;
}

async function testWithReport(reportPath: string, args: readonly string[]): Promise<number> {
  // Compiled apart, so that the compiler's progress is seen and never lands in the report.
  const built = await forge(['build'], false);
  if (built.code !== 0) return built.code;
  const { code, stdout } = await forge(['test', '--json', ...args], true);
  const path = resolve(reportPath);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, stdout);
  try {
    console.log(summarise(JSON.parse(readFileSync(path, 'utf8')) as Report));
  } catch (cause) {
    throw new Error(`forge wrote no JSON report to ${path} (exit status ${code}); run without --json to read its message`, { cause });
  }
  return code;
}

const [command, ...rest] = process.argv.slice(2);
if (command === undefined) {
  console.error('usage: forge.ts build | test [--json <report path>] | <any forge command>');
  process.exitCode = 2;
} else if (command === 'test' && rest[0] === '--json') {
  const reportPath = rest[1];
  if (reportPath === undefined) throw new Error('test --json needs the path of the report');
  process.exitCode = await testWithReport(reportPath, rest.slice(2));
} else {
  process.exitCode = (await forge([command, ...rest], false)).code;
}
