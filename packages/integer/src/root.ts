import { keccak_256 } from '@noble/hashes/sha3.js';

import { type Hex, toHex } from './hex.ts';
import { merkleRoot } from './merkle.ts';
import { decodeProgram, HEADER_BYTES, PROGRAM_VERSION, RECORD_BYTES, rowCount } from './program.ts';
import { decodeWeights } from './weights.ts';

const WORD = 32;
const LEAF_TAG = 0x00;

/** Root over the header and the op records. @throws IntegerModelError when the program is malformed. */
export function programRoot(programBytes: Uint8Array): Uint8Array {
  const { ops } = decodeProgram(programBytes);
  const leaves = new Uint8Array((1 + ops.length) * WORD);
  leaves.set(leaf(0, programBytes.subarray(0, HEADER_BYTES)));
  for (let i = 1; i <= ops.length; i++) {
    const at = HEADER_BYTES + RECORD_BYTES * (i - 1);
    leaves.set(leaf(i, programBytes.subarray(at, at + RECORD_BYTES)), i * WORD);
  }
  return merkleRoot(leaves);
}

/** Root over the rows of weights.bin. @throws IntegerModelError when program or weights are malformed. */
export function weightRoot(programBytes: Uint8Array, weightBytes: Uint8Array): Uint8Array {
  const program = decodeProgram(programBytes);
  decodeWeights(program, weightBytes);
  const leaves = new Uint8Array(rowCount(program) * WORD);
  let at = 0;
  for (const op of program.ops) {
    for (let row = op.firstRow; row < op.firstRow + op.outputLength; row++, at += op.rowBytes) {
      leaves.set(leaf(row, weightBytes.subarray(at, at + op.rowBytes)), row * WORD);
    }
  }
  return merkleRoot(leaves);
}

/** keccak(programRoot ‖ weightRoot ‖ u32 version): what the registry stores for an integer model. */
export function verificationRoot(programBytes: Uint8Array, weightBytes: Uint8Array): Hex {
  const bytes = new Uint8Array(2 * WORD + 4);
  bytes.set(programRoot(programBytes));
  bytes.set(weightRoot(programBytes, weightBytes), WORD);
  new DataView(bytes.buffer).setUint32(2 * WORD, PROGRAM_VERSION);
  return toHex(keccak_256(bytes));
}

/** keccak(0x00 ‖ u32 index ‖ bytes): the tag and the index keep a leaf from passing for a node or for another leaf. */
function leaf(index: number, bytes: Uint8Array): Uint8Array {
  const tagged = new Uint8Array(5 + bytes.length);
  tagged[0] = LEAF_TAG;
  new DataView(tagged.buffer).setUint32(1, index);
  tagged.set(bytes, 5);
  return keccak_256(tagged);
}
