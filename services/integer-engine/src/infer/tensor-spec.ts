import type { Program } from '@cupel/integer/program';

/** The tensors of an integer model in the words of the Open Inference Protocol. */
export interface TensorSpec {
  readonly name: string;
  readonly datatype: 'UINT8';
  readonly shape: readonly [1, number];
}

export interface ModelSpec {
  readonly name: string;
  readonly version: string;
  readonly input: TensorSpec;
  readonly output: TensorSpec;
}

/** A manifest has one version of a model; the protocol wants a name for it. */
const MODEL_VERSION = '1';

export const specOf = (name: string, program: Program): ModelSpec => ({
  name,
  version: MODEL_VERSION,
  input: { name: 'input', datatype: 'UINT8', shape: [1, program.inputLength] },
  output: { name: 'output', datatype: 'UINT8', shape: [1, program.outputLength] },
});

/** Body of GET /v2/models/{name}. */
export const modelMetadata = (spec: ModelSpec) => ({
  name: spec.name,
  versions: [spec.version],
  platform: 'cupel_integer_v1',
  inputs: [spec.input],
  outputs: [spec.output],
});

/** Body of GET /v2. */
export const serverMetadata = { name: 'cupel-integer-engine', version: '0.1.0', extensions: [] };

/** Bytes of request body that are read before 413: three digits, a comma and a space for each input, and room for the rest. */
export const bodyLimit = (spec: ModelSpec): number => 16_384 + 8 * spec.input.shape[1];
