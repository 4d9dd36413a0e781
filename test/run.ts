import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { preflight } from '../deploy/local/src/preflight.ts';

/**
 * `make test`: every layer, then one line with the sum of the runners' own reports. A layer that the preflight calls possible and that
 * reported no test is a failure, not a gap.
 */
interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const root = resolve(import.meta.dirname, '..');
const reports = join(root, '.cupel/reports');
rmSync(reports, { recursive: true, force: true });
mkdirSync(reports, { recursive: true });

const run = (command: string, args: readonly string[]) =>
  new Promise<number>((done) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', (error) => {
      console.error(String(error));
      done(127);
    });
    child.on('close', (code) => done(code ?? 1));
  });

const read = (path: string): unknown => {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
};

/** Vitest's JSON report; a file that failed to load counts as one failure. */
const vitestCounts = (path: string): Counts | undefined => {
  const report = read(path) as
    | {
        numPassedTests: number;
        numFailedTests: number;
        numPendingTests: number;
        numTodoTests: number;
        testResults: { status: string; assertionResults: unknown[] }[];
      }
    | undefined;
  if (!report) return undefined;
  const unloadable = report.testResults.filter((f) => f.status === 'failed' && f.assertionResults.length === 0).length;
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + unloadable,
    skipped: report.numPendingTests + report.numTodoTests,
  };
};

/** Forge's `--json`: suite → test_results → {status: Success | Failure | Skipped}. */
const forgeCounts = (path: string): Counts | undefined => {
  const report = read(path) as Record<string, { test_results: Record<string, { status: string }> }> | undefined;
  if (!report) return undefined;
  const statuses = Object.values(report).flatMap((suite) => Object.values(suite.test_results).map((t) => t.status));
  return {
    passed: statuses.filter((s) => s === 'Success').length,
    failed: statuses.filter((s) => s === 'Failure').length,
    skipped: statuses.filter((s) => s === 'Skipped').length,
  };
};

const vitest = (name: string) => async (report: string) => ({
  code: await run('vitest', ['run', '--project', name, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`]),
  counts: vitestCounts(report),
});

const layers: readonly { name: string; run: (report: string) => Promise<{ code: number; counts: Counts | undefined }> }[] = [
  { name: 'unit', run: vitest('unit') },
  { name: 'architecture', run: vitest('architecture') },
  {
    name: 'contracts',
    run: async (report) => ({
      code: await run(process.execPath, ['contracts/script/forge.ts', 'test', '--json', report]),
      counts: forgeCounts(report),
    }),
  },
  { name: 'integration', run: vitest('integration') },
  { name: 'e2e', run: vitest('e2e') },
];

const wanted = process.argv.slice(2);

// Tests that deploy read what forge writes.
if ((await run(process.execPath, ['contracts/script/forge.ts', 'build'])) !== 0) process.exit(1);
// Programs and images are built before the tests, with progress: minutes the first time, and no test's time limit is meant for that.
const needs = (name: string): boolean => wanted.length === 0 || wanted.includes(name);
const local = 'deploy/local/src/cli/local.ts';
if ((needs('integration') || needs('e2e')) && (await run(process.execPath, [local, 'tools'])) !== 0) process.exit(1);
if (needs('e2e') && (await run(process.execPath, [local, 'images'])) !== 0) process.exit(1);

const total: Counts = { passed: 0, failed: 0, skipped: 0 };
const lines: string[] = [];
/** Layers that the preflight calls impossible here: counted as skipped, and no fault. */
let impossible = 0;

for (const layer of layers.filter((l) => needs(l.name))) {
  if (layer.name === 'e2e') {
    const missing = (await preflight('cluster')).filter((check) => !check.ok);
    if (missing.length > 0) {
      total.skipped += 1;
      impossible += 1;
      const why = missing.map((check) => `${check.name}: ${check.found}; ${check.remedy}`).join('; ');
      lines.push(`${layer.name}: skipped, not possible here (${why})`);
      continue;
    }
  }
  const started = performance.now();
  const { code, counts } = await layer.run(join(reports, `${layer.name}.json`));
  const seconds = Math.round((performance.now() - started) / 1000);
  const seen = counts ?? { passed: 0, failed: 0, skipped: 0 };
  // A runner that fails without a failing test (a crash, an unhandled error), or that ran nothing, is a failure of its own.
  const broken = (code !== 0 && seen.failed === 0) || seen.passed + seen.failed === 0 ? 1 : 0;
  total.passed += seen.passed;
  total.failed += seen.failed + broken;
  total.skipped += seen.skipped;
  lines.push(
    `${layer.name}: ${seen.passed} passed, ${seen.failed + broken} failed, ${seen.skipped} skipped, ${seconds} s${broken ? ` (the runner ended with ${code})` : ''}`,
  );
}

console.log(`\n${lines.join('\n')}`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
// What was possible and was left out is a fault where nobody looks.
if (total.failed > 0 || (process.env['CI'] === 'true' && total.skipped > impossible)) process.exitCode = 1;
