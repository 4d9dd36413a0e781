import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import { memoryLogger } from '@cupel/testing/logger';
import { describe, expect, it } from 'vitest';

import { repeat } from '../src/lifecycle.ts';

describe('repeat', () => {
  it('runs again and again, never twice at a time, and waits for the last run when it is stopped', async () => {
    let running = 0;
    let runs = 0;
    let overlap = false;
    const loop = repeat({
      name: 'tail',
      everyMs: 1,
      logger: memoryLogger(),
      run: async () => {
        running += 1;
        overlap ||= running > 1;
        await delay(5);
        runs += 1;
        running -= 1;
      },
    });
    await delay(60);
    await loop[Symbol.asyncDispose]();
    const before = runs;
    expect(running).toBe(0);
    expect(before).toBeGreaterThan(2);
    await delay(20);
    expect(runs).toBe(before);
    expect(overlap).toBe(false);
  });

  it('logs a failure, backs off and goes on', async () => {
    const logger = memoryLogger();
    let runs = 0;
    await using _loop = repeat({
      name: 'tail',
      everyMs: 1,
      logger,
      random: () => 0,
      run: async () => {
        runs += 1;
        if (runs < 3) throw new Error('not yet');
      },
    });
    await delay(50);
    expect(runs).toBeGreaterThan(3);
    expect(logger.lines.map((l) => [l.level, l.fields['failures']])).toEqual([
      ['error', 1],
      ['error', 2],
    ]);
  });

  it('can be woken', async () => {
    let runs = 0;
    await using loop = repeat({ name: 'tail', everyMs: 60_000, logger: memoryLogger(), run: async () => void (runs += 1) });
    await delay(5);
    loop.wake();
    await delay(5);
    expect(runs).toBe(2);
  });
});

const program = (body: string): string =>
  `import { runMain } from ${JSON.stringify(new URL('../src/lifecycle.ts', import.meta.url).pathname)};
   await runMain('demo', async (stack, tools) => { stack.defer(() => console.log('disposed')); ${body} });`;

const run = async (body: string, signal?: NodeJS.Signals) => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program(body)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (signal && output.includes('up') && !child.killed) child.kill(signal);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
};

describe('runMain', () => {
  it('disposes and exits with 0 after SIGTERM', async () => {
    const { code, output } = await run(`console.log('up'); setInterval(() => undefined, 1000); await tools.untilSignal();`, 'SIGTERM');
    expect(output).toContain('disposed');
    expect(code).toBe(0);
  });

  it('logs what main throws, disposes, and exits with 1', async () => {
    const { code, output } = await run(`throw new Error('no ledger');`);
    expect(output).toMatch(/disposed[\s\S]*demo stops: no ledger/);
    expect(code).toBe(1);
  });

  it('exits with 1 on a rejection that nobody handles', async () => {
    const { code, output } = await run(`void Promise.reject(new Error('lost')); await tools.untilSignal();`);
    expect(output).toContain('demo stops: lost');
    expect(code).toBe(1);
  });
});
