import { IntegerModelError } from './model-error.ts';
import { type Program, rowBytesOf, weightBytes } from './program.ts';

const WORD = 32;

/** One op's parameters, unpacked. `weights` is row-major: the weight of input i in row j is at j · inputLength + i. */
export interface LayerWeights {
  readonly bias: Int32Array;
  readonly weights: Int8Array;
}

/**
 * Unpacks weights.bin. Padding lanes are not read: the inputs beside them are zero, so they have no meaning.
 * @throws IntegerModelError when the length does not follow from the program or a bias does not fit int32.
 */
export function decodeWeights(program: Program, bytes: Uint8Array): LayerWeights[] {
  const length = weightBytes(program);
  if (bytes.length !== length) {
    throw new IntegerModelError('weights', `want ${length} bytes for this program, got ${bytes.length}`);
  }
  let at = 0;
  return program.ops.map((op) => {
    const bias = new Int32Array(op.outputLength);
    const weights = new Int8Array(op.outputLength * op.inputLength);
    for (let j = 0; j < op.outputLength; j++, at += op.rowBytes) {
      bias[j] = readBias(bytes, at, op.firstRow + j);
      for (let i = 0; i < op.inputLength; i++) {
        weights[j * op.inputLength + i] = (bytes[at + WORD + lane(i)] ?? 0) - 128;
      }
    }
    return { bias, weights };
  });
}

/** The bytes of weights.bin; the other way of decodeWeights. Every padding byte is 0x80. */
export function encodeWeights(program: Program, layers: readonly LayerWeights[]): Uint8Array {
  const bytes = new Uint8Array(weightBytes(program));
  let at = 0;
  for (const [index, op] of program.ops.entries()) {
    const layer = layers[index];
    if (layer?.bias.length !== op.outputLength || layer.weights.length !== op.outputLength * op.inputLength) {
      throw new IntegerModelError(`layers[${index}]`, `want ${op.outputLength} biases and ${op.outputLength}×${op.inputLength} weights`);
    }
    for (let j = 0; j < op.outputLength; j++, at += op.rowBytes) {
      const row = layer.weights.subarray(j * op.inputLength, (j + 1) * op.inputLength);
      bytes.set(encodeRow(layer.bias[j] ?? 0, row), at);
    }
  }
  return bytes;
}

/** One row of weights.bin: the bias as a sign-extended word, then the weights as w + 128, reversed inside each word. */
export function encodeRow(bias: number, weights: Int8Array): Uint8Array {
  const row = new Uint8Array(rowBytesOf(weights.length));
  row.fill(bias < 0 ? 0xff : 0, 0, WORD);
  new DataView(row.buffer).setInt32(WORD - 4, bias);
  row.fill(0x80, WORD);
  for (const [i, weight] of weights.entries()) row[WORD + lane(i)] = weight + 128;
  return row;
}

/** Offset of weight i among the weight words: the EVM reads lanes from a word's low end. */
const lane = (i: number): number => i - (i % WORD) + (WORD - 1 - (i % WORD));

function readBias(bytes: Uint8Array, at: number, row: number): number {
  const bias = new DataView(bytes.buffer, bytes.byteOffset + at, WORD).getInt32(WORD - 4);
  const extension = bias < 0 ? 0xff : 0;
  for (let i = 0; i < WORD - 4; i++) {
    if (bytes[at + i] !== extension) throw new IntegerModelError(`rows[${row}].bias`, 'want a sign-extended int32');
  }
  return bias;
}
