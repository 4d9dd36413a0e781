import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { loadModel, run } from '@cupel/integer/run';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { falsify, type Lie, lying } from '../images/lying-engine/lie.ts';

const root = join(import.meta.dirname, '../../..');
const honestAnswer = (input: Uint8Array): Uint8Array => Uint8Array.from({ length: 10 }, (_, i) => (input[0] ?? 0) + i);
const winner = (logits: Uint8Array): number => logits.indexOf(Math.max(...logits));

function tell(options: { seed: number; rate: number; after: number }, count: number): Lie[] {
  const lies: Lie[] = [];
  const answer = lying(honestAnswer, options, (lie) => lies.push(lie));
  for (let i = 0; i < count; i++) {
    const input = Uint8Array.of(i % 200);
    const output = answer(input);
    const lie = lies.at(-1);
    expect(output).toEqual(lie?.answer === i + 1 ? lie.told : honestAnswer(input));
  }
  return lies;
}

describe('the lying engine', () => {
  test('lies in about the share that it is told to, never in the first answers', () => {
    const lies = tell({ seed: 7, rate: 0.34, after: 3 }, 2000);
    expect(lies.length / 1997).toBeGreaterThan(0.31);
    expect(lies.length / 1997).toBeLessThan(0.37);
    expect(Math.min(...lies.map((lie) => lie.answer))).toBeGreaterThan(3);
    expect(lies.map((lie) => lie.lie)).toEqual(lies.map((_, i) => i + 1));
  });

  test('always and never are possible', () => {
    expect(tell({ seed: 7, rate: 1, after: 2 }, 10).map((lie) => lie.answer)).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
    expect(tell({ seed: 7, rate: 0, after: 0 }, 50)).toEqual([]);
  });

  test('the seed decides which answers are false and how', () => {
    const once1 = tell({ seed: 7, rate: 0.34, after: 3 }, 60);
    expect(tell({ seed: 7, rate: 0.34, after: 3 }, 60)).toEqual(once1);
    expect(tell({ seed: 8, rate: 0.34, after: 3 }, 60)).not.toEqual(once1);
    expect(once1.length).toBeGreaterThan(5);
  });

  test('a lie makes another digit win, whatever the logits', () => {
    const logits = fc.oneof(
      fc.uint8Array({ minLength: 2, maxLength: 10 }),
      fc.array(fc.constantFrom(0, 1, 255), { minLength: 2, maxLength: 10 }).map((values) => Uint8Array.from(values)),
    );
    fc.assert(
      fc.property(logits, fc.double({ min: 0, max: 0.999, noNaN: true }), (honest, chance) => {
        const before = honest.slice();
        const lie = falsify(honest, () => chance);
        expect(winner(lie)).not.toBe(winner(honest));
        expect(honest).toEqual(before);
      }),
    );
  });

  test('as a process: honest first, then lies that only its standard output tells of', async () => {
    const child = spawn(process.execPath, [join(root, 'deploy/local/images/lying-engine/main.ts')], {
      env: { PORT: '0', MODEL_DIR: join(root, 'models/digits'), CUPEL_MODEL_NAME: 'digits', LIE_SEED: '5', LIE_RATE: '1', LIE_AFTER: '2' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const line = async (): Promise<Record<string, unknown>> => JSON.parse((await lines.next()).value ?? '{}');
    try {
      const { port } = await line();
      const model = loadModel(readFileSync(join(root, 'models/digits/program.bin')), readFileSync(join(root, 'models/digits/weights.bin')));
      const pixels = new Uint8Array(196).fill(9);
      const honest = run(model, pixels);
      const told: number[][] = [];
      for (let i = 0; i < 3; i++) {
        const response = await fetch(`http://127.0.0.1:${String(port)}/v2/models/digits/infer`, {
          method: 'POST',
          body: JSON.stringify({ inputs: [{ name: 'input', datatype: 'UINT8', shape: [1, 196], data: [...pixels] }] }),
        });
        const answer: { model_name: string; outputs: [{ data: number[] }] } = JSON.parse(await response.text());
        expect(Object.keys(answer)).toEqual(['model_name', 'model_version', 'outputs']);
        told.push(answer.outputs[0].data);
      }
      expect(told.slice(0, 2)).toEqual([[...honest], [...honest]]);
      expect(winner(Uint8Array.from(told[2] ?? []))).not.toBe(winner(honest));
      expect(await line()).toMatchObject({
        event: 'lie',
        lie: 1,
        answer: 3,
        honest: [...honest],
        told: told[2],
        inputSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
    } finally {
      child.kill('SIGTERM');
    }
    expect(await exited).toEqual([0, null]);
  });
});
