// Writes the vectors that packages/integer and contracts/src/libraries/IntegerModel.sol are both tested with:
// node packages/integer/scripts/vectors.ts
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { toHex } from '../src/hex.ts';
import { type DenseShape, decodeProgram, encodeProgram } from '../src/program.ts';
import { verificationRoot } from '../src/root.ts';
import { loadModel, run } from '../src/run.ts';
import { inputHash, outputHash } from '../src/tensor.ts';
import { encodeWeights, type LayerWeights } from '../src/weights.ts';
import { readDigits, seeded } from './digits.ts';

const root = join(import.meta.dirname, '../../..');
const folder = join(root, 'contracts/test/vectors');
mkdirSync(folder, { recursive: true });

const random = seeded(3);
const randomBytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => Math.floor(random() * 256));

write('integer.json', ...digitsModel());
write('integer-tiny.json', ...tinyModel());
write('integer-edge.json', ...edgeModel());

function digitsModel(): [Uint8Array, Uint8Array, Uint8Array[]] {
  const program = readFileSync(join(root, 'models/digits/program.bin'));
  const weights = readFileSync(join(root, 'models/digits/weights.bin'));
  const { heldOut } = readDigits();
  const perDigit = Math.floor(heldOut.length / 20);
  const digits = Array.from({ length: 20 }, (_, i) => heldOut[i * perDigit]?.pixels ?? new Uint8Array(196));
  const alternating = Uint8Array.from({ length: 196 }, (_, i) => (i % 2) * 255);
  const noise = Array.from({ length: 4 }, () => randomBytes(196));
  return [program, weights, [new Uint8Array(196), new Uint8Array(196).fill(255), alternating, ...noise, ...digits]];
}

/** 37 → 5 → 33 → 7: rows that end inside a word, a row of more than one word, products beyond 2^53 and beyond int64. */
function tinyModel(): [Uint8Array, Uint8Array, Uint8Array[]] {
  const shapes: DenseShape[] = [
    { zeroPoint: 0, shift: 41, mult: 2 ** 31 - 1, inputLength: 37, outputLength: 5 },
    { zeroPoint: 130, shift: 8, mult: -3, inputLength: 5, outputLength: 33 },
    { zeroPoint: 128, shift: 43, mult: -(2 ** 31), inputLength: 33, outputLength: 7 },
  ];
  const layers = shapes.map((shape) => randomLayer(shape, 10_000));
  layers[2]?.bias.set([0, 2 ** 31 - 1, -(2 ** 31)]);
  return [...encode(shapes, layers), [new Uint8Array(37), new Uint8Array(37).fill(255), ...inputs(20, 37)]];
}

/** 6 → 5 with the largest shift: what is left of a word is its rounding, so a bias of ±2^30 sits on the edge. */
function edgeModel(): [Uint8Array, Uint8Array, Uint8Array[]] {
  const shapes: DenseShape[] = [{ zeroPoint: 128, shift: 62, mult: -(2 ** 31), inputLength: 6, outputLength: 5 }];
  const layers = shapes.map((shape) => randomLayer(shape, 0));
  layers[0]?.bias.set([0, 2 ** 31 - 1, -(2 ** 31), 2 ** 30, -(2 ** 30)]);
  return [...encode(shapes, layers), [new Uint8Array(6), new Uint8Array(6).fill(255), ...inputs(18, 6)]];
}

function randomLayer(shape: DenseShape, biasRange: number): LayerWeights {
  const weights = Int8Array.from(randomBytes(shape.inputLength * shape.outputLength), (byte) => byte - 128);
  weights[0] = -128;
  weights[shape.inputLength - 1] = 127;
  return { bias: Int32Array.from({ length: shape.outputLength }, () => (random() - 0.5) * biasRange), weights };
}

function encode(shapes: DenseShape[], layers: LayerWeights[]): [Uint8Array, Uint8Array] {
  const program = encodeProgram(shapes);
  return [program, encodeWeights(decodeProgram(program), layers)];
}

function inputs(count: number, length: number): Uint8Array[] {
  return Array.from({ length: count }, () => randomBytes(length));
}

function write(file: string, program: Uint8Array, weights: Uint8Array, inputRows: readonly Uint8Array[]): void {
  const model = loadModel(program, weights);
  const cases = inputRows.map((input, index) => {
    const salt = index === 0 ? new Uint8Array(32) : randomBytes(32);
    const output = run(model, input);
    return {
      salt: toHex(salt),
      input: toHex(input),
      output: toHex(output),
      inputHash: inputHash(salt, input),
      outputHash: outputHash(output),
    };
  });
  const vector = {
    program: toHex(program),
    weights: toHex(weights),
    verificationRoot: verificationRoot(program, weights),
    cases,
  };
  writeFileSync(join(folder, file), `${JSON.stringify(vector, null, 2)}\n`);
  process.stdout.write(`${file}: ${cases.length} cases, ${vector.verificationRoot}\n`);
}
