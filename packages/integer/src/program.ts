import { IntegerModelError } from './model-error.ts';

export const PROGRAM_VERSION = 1;
export const HEADER_BYTES = 16;
export const RECORD_BYTES = 32;
export const MAX_OPS = 64;
export const MAX_LENGTH = 65_536;

const MAGIC = 0x43_55_50_49; // "CUPI"
const OPCODE_DENSE = 1;

/** One dense layer: clamp(((acc · mult + 2^(shift−1)) >> shift) + zeroPoint, 0, 255). */
export interface DenseOp {
  readonly zeroPoint: number;
  readonly shift: number;
  readonly mult: number;
  readonly inputLength: number;
  readonly outputLength: number;
  /** Index of the op's first row in weights.bin. */
  readonly firstRow: number;
  readonly rowBytes: number;
}

/** docs/specs/integer-model.md, program.bin. Lengths are in bytes: one uint8 activation each. */
export interface Program {
  readonly inputLength: number;
  readonly outputLength: number;
  readonly ops: readonly DenseOp[];
}

/** What a maker chooses; the rest of a record follows from it. */
export type DenseShape = Pick<DenseOp, 'zeroPoint' | 'shift' | 'mult' | 'inputLength' | 'outputLength'>;

/** Bytes of one row of weights.bin for `n` inputs: a bias word and ceil(n/32) weight words. */
export const rowBytesOf = (n: number): number => 32 + 32 * Math.ceil(n / 32);

export const rowCount = (program: Program): number => program.ops.reduce((sum, op) => sum + op.outputLength, 0);

export const weightBytes = (program: Program): number => program.ops.reduce((sum, op) => sum + op.outputLength * op.rowBytes, 0);

/** @throws IntegerModelError naming the field of the first thing that is malformed. */
export function decodeProgram(bytes: Uint8Array): Program {
  if (bytes.length < HEADER_BYTES) {
    throw new IntegerModelError('header', `want ${HEADER_BYTES} bytes, got ${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== MAGIC) throw new IntegerModelError('header.magic', 'want "CUPI"');
  const version = view.getUint16(4);
  if (version !== PROGRAM_VERSION) {
    throw new IntegerModelError('header.version', `want ${PROGRAM_VERSION}, got ${version}`);
  }
  const opCount = between('header.opCount', view.getUint16(6), 1, MAX_OPS);
  const inputLength = between('header.inputLength', view.getUint32(8), 1, MAX_LENGTH);
  const outputLength = between('header.outputLength', view.getUint32(12), 1, MAX_LENGTH);
  const length = HEADER_BYTES + RECORD_BYTES * opCount;
  if (bytes.length !== length) {
    throw new IntegerModelError('program', `want ${length} bytes for ${opCount} ops, got ${bytes.length}`);
  }

  const ops: DenseOp[] = [];
  let width = inputLength;
  let firstRow = 0;
  for (let i = 0; i < opCount; i++) {
    const op = decodeRecord(view, HEADER_BYTES + RECORD_BYTES * i, `ops[${i}]`, width, firstRow);
    ops.push(op);
    width = op.outputLength;
    firstRow += op.outputLength;
  }
  equal('header.outputLength', outputLength, width, "the last op's outputLength");
  return { inputLength, outputLength, ops };
}

function decodeRecord(view: DataView, at: number, field: string, width: number, firstRow: number): DenseOp {
  const opcode = view.getUint8(at);
  if (opcode !== OPCODE_DENSE) throw new IntegerModelError(`${field}.opcode`, `want 1 (dense), got ${opcode}`);
  equal(`${field}.flags`, view.getUint8(at + 1), 0);
  const zeroPoint = view.getUint8(at + 2);
  const shift = between(`${field}.shift`, view.getUint8(at + 3), 1, 62);
  const mult = view.getInt32(at + 4);
  const inputLength = view.getUint32(at + 8);
  equal(`${field}.inputLength`, inputLength, width, 'the length that flows in');
  const outputLength = between(`${field}.outputLength`, view.getUint32(at + 12), 1, MAX_LENGTH);
  equal(`${field}.firstRow`, view.getUint32(at + 16), firstRow, 'rows are contiguous');
  const rowBytes = view.getUint32(at + 20);
  equal(`${field}.rowBytes`, rowBytes, rowBytesOf(inputLength), '32 + 32·ceil(n/32)');
  equal(`${field}.reserved`, Number(view.getBigUint64(at + 24) !== 0n), 0, '8 zero bytes');
  return { zeroPoint, shift, mult, inputLength, outputLength, firstRow, rowBytes };
}

/**
 * The bytes of program.bin for these layers, in order.
 * @throws IntegerModelError naming the field when a layer does not fit the format or the layer before it.
 */
export function encodeProgram(layers: readonly DenseShape[]): Uint8Array {
  const first = layers[0];
  const last = layers.at(-1);
  if (first === undefined || last === undefined) throw new IntegerModelError('header.opCount', 'want 1 to 64, got 0');
  between('header.opCount', layers.length, 1, MAX_OPS);
  const bytes = new Uint8Array(HEADER_BYTES + RECORD_BYTES * layers.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint16(4, PROGRAM_VERSION);
  view.setUint16(6, layers.length);
  view.setUint32(8, first.inputLength);
  view.setUint32(12, last.outputLength);
  let firstRow = 0;
  for (const [i, layer] of layers.entries()) {
    const at = HEADER_BYTES + RECORD_BYTES * i;
    view.setUint8(at, OPCODE_DENSE);
    view.setUint8(at + 2, between(`ops[${i}].zeroPoint`, layer.zeroPoint, 0, 255));
    view.setUint8(at + 3, between(`ops[${i}].shift`, layer.shift, 1, 62));
    view.setInt32(at + 4, between(`ops[${i}].mult`, layer.mult, -(2 ** 31), 2 ** 31 - 1));
    view.setUint32(at + 8, between(`ops[${i}].inputLength`, layer.inputLength, 1, MAX_LENGTH));
    view.setUint32(at + 12, between(`ops[${i}].outputLength`, layer.outputLength, 1, MAX_LENGTH));
    view.setUint32(at + 16, firstRow);
    view.setUint32(at + 20, rowBytesOf(layer.inputLength));
    firstRow += layer.outputLength;
  }
  decodeProgram(bytes);
  return bytes;
}

function between(field: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new IntegerModelError(field, `want ${least} to ${most}, got ${value}`);
  }
  return value;
}

function equal(field: string, value: number, wanted: number, why?: string): void {
  if (value !== wanted) {
    throw new IntegerModelError(field, `want ${wanted}${why === undefined ? '' : ` (${why})`}, got ${value}`);
  }
}
