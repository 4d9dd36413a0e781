import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { loadModel, run } from '@cupel/integer/run';

import { specOf } from '../src/infer/tensor-spec.ts';
import { serve } from '../src/serve.ts';

export const digitsFolder = join(import.meta.dirname, '../../../models/digits');

export const digits = loadModel(readFileSync(join(digitsFolder, 'program.bin')), readFileSync(join(digitsFolder, 'weights.bin')));

export const spec = specOf('digits', digits.program);

export const pixels = (seed: number): number[] => Array.from({ length: 196 }, (_, i) => (seed * 31 + i * 7) % 256);

export const body = (data: unknown, more: object = {}): string =>
  JSON.stringify({ inputs: [{ name: 'input', datatype: 'UINT8', shape: [1, 196], data, ...more }] });

/** The engine on a free port, and what it measured. */
export async function startDigits(answer = (input: Uint8Array) => run(digits, input)) {
  const served: { endpoint: string; code: number }[] = [];
  const faults: unknown[] = [];
  const serving = await serve(
    {
      spec,
      answer,
      nowMs: () => 0,
      fault: (error) => faults.push(error),
      meter: {
        served: (endpoint, code) => served.push({ endpoint, code }),
        exposition: () => Promise.resolve({ contentType: 'text/plain; version=0.0.4', body: `served ${served.length}\n` }),
      },
    },
    0,
    500,
  );
  return { serving, served, faults, url: `http://127.0.0.1:${serving.port}` };
}
