import { type DenseShape, encodeProgram, decodeProgram } from '../src/program.ts';
import { encodeWeights, type LayerWeights } from '../src/weights.ts';
import type { Digit } from './digits.ts';
import { type FloatLayer, forward } from './mlp.ts';

/** mult is kept below 2^16, so that |acc · mult| stays far below 2^53 and run() never leaves its fast path. */
const MULT_BITS = 16;

/**
 * Turns a trained two-layer network into program.bin and weights.bin.
 * Ranges of activations and logits come from `digits`; ReLU is the clamp at 0, logits sit around zero point 128.
 */
export function quantize(
  [first, second]: readonly [FloatLayer, FloatLayer],
  digits: readonly Digit[],
): { program: Uint8Array; weights: Uint8Array } {
  const { hiddenTop, logitTop } = ranges(first, second, digits);
  const pixelScale = 1 / 255;
  const hiddenScale = hiddenTop / 255;
  const logitScale = logitTop / 127;
  const a = quantizeLayer(first, pixelScale, hiddenScale, 0);
  const b = quantizeLayer(second, hiddenScale, logitScale, 128);
  const program = encodeProgram([a.shape, b.shape]);
  return { program, weights: encodeWeights(decodeProgram(program), [a.layer, b.layer]) };
}

/** The 99.9th percentile of hidden activations (the rest saturates) and the largest magnitude of a logit. */
function ranges(first: FloatLayer, second: FloatLayer, digits: readonly Digit[]): { hiddenTop: number; logitTop: number } {
  const hidden = new Float64Array(first.outputs);
  const logits = new Float64Array(second.outputs);
  const seen: number[] = [];
  let logitTop = 0;
  for (const digit of digits) {
    forward(
      first,
      Float64Array.from(digit.pixels, (p) => p / 255),
      hidden,
    );
    for (let j = 0; j < hidden.length; j++) hidden[j] = Math.max(0, hidden[j] ?? 0);
    seen.push(...hidden);
    forward(second, hidden, logits);
    for (const logit of logits) logitTop = Math.max(logitTop, Math.abs(logit));
  }
  seen.sort((x, y) => x - y);
  return { hiddenTop: seen[Math.floor(seen.length * 0.999)] ?? 1, logitTop };
}

function quantizeLayer(
  layer: FloatLayer,
  inputScale: number,
  outputScale: number,
  zeroPoint: number,
): { shape: DenseShape; layer: LayerWeights } {
  let top = 0;
  for (const weight of layer.weights) top = Math.max(top, Math.abs(weight));
  const weightScale = top / 127;
  const accScale = inputScale * weightScale;
  const { mult, shift } = fixedPoint(accScale / outputScale);
  return {
    shape: { zeroPoint, shift, mult, inputLength: layer.inputs, outputLength: layer.outputs },
    layer: {
      weights: Int8Array.from(layer.weights, (weight) => Math.round(weight / weightScale)),
      bias: Int32Array.from(layer.bias, (bias) => Math.round(bias / accScale)),
    },
  };
}

/** The factor as mult / 2^shift with 2^15 ≤ mult < 2^16. */
function fixedPoint(factor: number): { mult: number; shift: number } {
  const shift = MULT_BITS - 1 - Math.floor(Math.log2(factor));
  return { mult: Math.min(2 ** MULT_BITS - 1, Math.round(factor * 2 ** shift)), shift };
}
