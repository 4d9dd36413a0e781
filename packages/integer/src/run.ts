import { IntegerModelError } from './model-error.ts';
import { type DenseOp, decodeProgram, type Program } from './program.ts';
import { decodeWeights, type LayerWeights } from './weights.ts';

/** A model ready to run: the decoded program and its unpacked weights. */
export interface IntegerModel {
  readonly program: Program;
  readonly layers: readonly LayerWeights[];
}

/** @throws IntegerModelError naming the field of program.bin or weights.bin that is malformed. */
export function loadModel(programBytes: Uint8Array, weightBytes: Uint8Array): IntegerModel {
  const program = decodeProgram(programBytes);
  return { program, layers: decodeWeights(program, weightBytes) };
}

/**
 * Runs a model (docs/specs/integer-model.md): uint8 inputs to uint8 outputs, the same bits as the contract's IntegerModel.
 * @throws IntegerModelError when the input's length is not the program's.
 */
export function run(model: IntegerModel, input: Uint8Array): Uint8Array {
  if (input.length !== model.program.inputLength) {
    throw new IntegerModelError('input', `want ${model.program.inputLength} bytes, got ${input.length}`);
  }
  let activations = input;
  for (const [index, op] of model.program.ops.entries()) {
    const layer = model.layers[index];
    if (layer === undefined) throw new IntegerModelError(`layers[${index}]`, 'missing');
    activations = dense(op, layer, activations);
  }
  return activations;
}

function dense(op: DenseOp, layer: LayerWeights, input: Uint8Array): Uint8Array {
  const n = op.inputLength;
  const output = new Uint8Array(op.outputLength);
  for (let j = 0; j < op.outputLength; j++) {
    let acc = layer.bias[j] ?? 0;
    for (let i = 0, at = j * n; i < n; i++, at++) acc += (input[i] ?? 0) * (layer.weights[at] ?? 0);
    output[j] = requantize(acc, op.mult, op.shift, op.zeroPoint);
  }
  return output;
}

/**
 * clamp(((acc · mult + 2^(shift−1)) >> shift) + zeroPoint, 0, 255), exact for every int33 acc and int32 mult.
 *
 * A double holds each step exactly while |acc · mult| + 2^(shift−1) < 2^53, and dividing an integer by a power of two
 * only changes its exponent; rounding is monotonic, so the test itself cannot pass by mistake. Otherwise BigInt.
 */
export function requantize(acc: number, mult: number, shift: number, zeroPoint: number): number {
  const product = acc * mult;
  const half = 2 ** (shift - 1);
  if (Math.abs(product) + half < Number.MAX_SAFE_INTEGER) {
    return clamp(Math.floor((product + half) / (2 * half)) + zeroPoint);
  }
  return requantizeExact(acc, mult, shift, zeroPoint);
}

/** The specification's formula in arbitrary precision: the slow path, and what the fast path is tested against. */
export function requantizeExact(acc: number, mult: number, shift: number, zeroPoint: number): number {
  const wide = BigInt(shift);
  const scaled = (BigInt(acc) * BigInt(mult) + (1n << (wide - 1n))) >> wide;
  const shifted = scaled + BigInt(zeroPoint);
  return shifted < 0n ? 0 : shifted > 255n ? 255 : Number(shifted);
}

const clamp = (value: number): number => Math.min(255, Math.max(0, value));
