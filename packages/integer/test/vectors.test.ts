import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { fromHex, toHex } from '../src/hex.ts';
import { verificationRoot } from '../src/root.ts';
import { loadModel, run } from '../src/run.ts';
import { inputHash, outputHash } from '../src/tensor.ts';

interface Vector {
  program: string;
  weights: string;
  verificationRoot: string;
  cases: { salt: string; input: string; output: string; inputHash: string; outputHash: string }[];
}

const folder = join(import.meta.dirname, '../../../contracts/test/vectors');

// The Solidity library is held to the same files; a change of meaning on either side fails one of the two.
describe.each(['integer.json', 'integer-tiny.json', 'integer-edge.json'])('%s', (file) => {
  const vector: Vector = JSON.parse(readFileSync(join(folder, file), 'utf8'));
  const program = fromHex(vector.program);
  const weights = fromHex(vector.weights);
  const model = loadModel(program, weights);

  test('has the root that the registry would hold', () => {
    expect(verificationRoot(program, weights)).toBe(vector.verificationRoot);
  });

  test('every case gives the same bits and roots', () => {
    expect(vector.cases.length).toBeGreaterThanOrEqual(20);
    for (const one of vector.cases) {
      const output = run(model, fromHex(one.input));
      expect(toHex(output)).toBe(one.output);
      expect(inputHash(fromHex(one.salt), fromHex(one.input))).toBe(one.inputHash);
      expect(outputHash(output)).toBe(one.outputHash);
    }
  });
});
