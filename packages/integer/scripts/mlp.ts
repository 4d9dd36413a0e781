import { type Digit, seeded, shuffle } from './digits.ts';

/** A dense layer in floating point, row-major: the weight of input i in row j is at j · inputs + i. */
export interface FloatLayer {
  readonly inputs: number;
  readonly outputs: number;
  readonly weights: Float64Array;
  readonly bias: Float64Array;
}

export interface TrainOptions {
  readonly seed: number;
  readonly hidden: number;
  readonly epochs: number;
  readonly rate: number;
  readonly momentum: number;
  readonly decay: number;
  readonly batch: number;
}

/** Trains inputs → hidden (ReLU) → 10 (softmax, cross-entropy) by stochastic gradient descent with momentum. */
export function train(digits: readonly Digit[], options: TrainOptions): [FloatLayer, FloatLayer] {
  const random = seeded(options.seed);
  const inputs = digits[0]?.pixels.length ?? 0;
  const first = newLayer(inputs, options.hidden, random);
  const second = newLayer(options.hidden, 10, random);
  const layers = [first, second].map((layer) => ({ layer, gradient: zeroed(layer), velocity: zeroed(layer) }));
  const hidden = new Float64Array(options.hidden);
  const logits = new Float64Array(10);
  const backHidden = new Float64Array(options.hidden);
  const order = digits.map((digit) => ({ label: digit.label, x: Float64Array.from(digit.pixels, (p) => p / 255) }));

  for (let epoch = 0; epoch < options.epochs; epoch++) {
    shuffle(order, random);
    const rate = options.rate * 0.5 * (1 + Math.cos((Math.PI * epoch) / options.epochs));
    for (let start = 0; start < order.length; start += options.batch) {
      const batch = order.slice(start, start + options.batch);
      for (const { x, label } of batch) {
        forward(first, x, hidden);
        for (let j = 0; j < hidden.length; j++) hidden[j] = Math.max(0, hidden[j] ?? 0);
        forward(second, hidden, logits);
        softmaxMinusLabel(logits, label);
        backward(second, layers[1]?.gradient, hidden, logits, backHidden);
        for (let j = 0; j < hidden.length; j++) if (hidden[j] === 0) backHidden[j] = 0;
        backward(first, layers[0]?.gradient, x, backHidden);
      }
      for (const { layer, gradient, velocity } of layers) {
        step(layer.weights, gradient.weights, velocity.weights, rate / batch.length, options.momentum, options.decay * rate);
        step(layer.bias, gradient.bias, velocity.bias, rate / batch.length, options.momentum, 0);
      }
    }
  }
  return [first, second];
}

/** out_j = bias_j + Σ_i in_i · w_ji */
export function forward(layer: FloatLayer, input: Float64Array, output: Float64Array): void {
  for (let j = 0; j < layer.outputs; j++) {
    let sum = layer.bias[j] ?? 0;
    for (let i = 0, at = j * layer.inputs; i < layer.inputs; i++, at++) sum += (input[i] ?? 0) * (layer.weights[at] ?? 0);
    output[j] = sum;
  }
}

function backward(
  layer: FloatLayer,
  gradient: Pick<FloatLayer, 'weights' | 'bias'> | undefined,
  input: Float64Array,
  error: Float64Array,
  back?: Float64Array,
): void {
  if (gradient === undefined) return;
  back?.fill(0);
  for (let j = 0; j < layer.outputs; j++) {
    const e = error[j] ?? 0;
    if (e === 0) continue;
    gradient.bias[j] = (gradient.bias[j] ?? 0) + e;
    for (let i = 0, at = j * layer.inputs; i < layer.inputs; i++, at++) {
      gradient.weights[at] = (gradient.weights[at] ?? 0) + e * (input[i] ?? 0);
      if (back) back[i] = (back[i] ?? 0) + e * (layer.weights[at] ?? 0);
    }
  }
}

function step(values: Float64Array, gradient: Float64Array, velocity: Float64Array, rate: number, momentum: number, decay: number): void {
  for (let i = 0; i < values.length; i++) {
    const v = momentum * (velocity[i] ?? 0) - rate * (gradient[i] ?? 0) - decay * (values[i] ?? 0);
    velocity[i] = v;
    values[i] = (values[i] ?? 0) + v;
    gradient[i] = 0;
  }
}

function softmaxMinusLabel(logits: Float64Array, label: number): void {
  const top = Math.max(...logits);
  let sum = 0;
  for (let k = 0; k < logits.length; k++) sum += logits[k] = Math.exp((logits[k] ?? 0) - top);
  for (let k = 0; k < logits.length; k++) logits[k] = (logits[k] ?? 0) / sum - (k === label ? 1 : 0);
}

function newLayer(inputs: number, outputs: number, random: () => number): FloatLayer {
  const bound = Math.sqrt(6 / inputs);
  const weights = Float64Array.from({ length: inputs * outputs }, () => (random() * 2 - 1) * bound);
  return { inputs, outputs, weights, bias: new Float64Array(outputs) };
}

const zeroed = (layer: FloatLayer) => ({
  weights: new Float64Array(layer.weights.length),
  bias: new Float64Array(layer.bias.length),
});
