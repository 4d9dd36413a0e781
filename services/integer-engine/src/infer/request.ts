import type { ModelSpec } from './tensor-spec.ts';

export interface InferRequest {
  readonly id?: string;
  readonly input: Uint8Array;
}

/** Why a request cannot be run: the field, and what is wanted there. */
export interface BadRequest {
  readonly field: string;
  readonly message: string;
}

export type ParsedInferRequest = { readonly ok: true; readonly request: InferRequest } | { readonly ok: false; readonly bad: BadRequest };

/**
 * Reads the body of POST /v2/models/{name}/infer: one UINT8 tensor of shape [1, n], its data flat or as one row.
 * Unknown parameters are left alone, as the protocol asks; binary tensor data is an extension that is not offered.
 */
export function parseInferRequest(text: string, spec: ModelSpec): ParsedInferRequest {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return bad('body', 'want JSON');
  }
  if (!isObject(body)) return bad('body', 'want an object');
  if (body.id !== undefined && (typeof body.id !== 'string' || body.id.length > 256)) {
    return bad('id', 'want a string of at most 256 characters');
  }
  if (!Array.isArray(body.inputs) || body.inputs.length !== 1) return bad('inputs', 'want one tensor');
  const wrongOutput = checkOutputs(body.outputs, spec);
  if (wrongOutput) return { ok: false, bad: wrongOutput };
  const input = parseTensor(body.inputs[0], spec);
  if (!(input instanceof Uint8Array)) return { ok: false, bad: input };
  return { ok: true, request: { ...(body.id !== undefined && { id: body.id }), input } };
}

function parseTensor(tensor: unknown, spec: ModelSpec): Uint8Array | BadRequest {
  const at = 'inputs[0]';
  const [batch, length] = spec.input.shape;
  if (!isObject(tensor)) return { field: at, message: 'want an object' };
  if (tensor.name !== spec.input.name) return { field: `${at}.name`, message: `want "${spec.input.name}"` };
  if (tensor.datatype !== spec.input.datatype) return { field: `${at}.datatype`, message: `want "${spec.input.datatype}"` };
  const { shape, data, parameters } = tensor;
  if (!Array.isArray(shape) || shape.length !== 2 || shape[0] !== batch || shape[1] !== length) {
    return { field: `${at}.shape`, message: `want [${batch}, ${length}]` };
  }
  if (isObject(parameters) && parameters.binary_data_size !== undefined) {
    return { field: `${at}.parameters.binary_data_size`, message: 'binary tensor data is not supported; send data as JSON numbers' };
  }
  if (!Array.isArray(data)) return { field: `${at}.data`, message: `want an array of ${length} numbers` };
  const nested = data.length === 1 && Array.isArray(data[0]);
  const row: unknown[] = nested ? data[0] : data;
  const field = nested ? `${at}.data[0]` : `${at}.data`;
  if (row.length !== length) return { field, message: `want ${length} numbers, got ${row.length}` };
  const bytes = new Uint8Array(length);
  for (const [i, value] of row.entries()) {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 255) {
      const got = typeof value === 'number' ? String(value) : value === null ? 'null' : typeof value;
      return { field: `${field}[${i}]`, message: `want an integer 0 to 255, got ${got}` };
    }
    bytes[i] = value;
  }
  return bytes;
}

function checkOutputs(outputs: unknown, spec: ModelSpec): BadRequest | undefined {
  if (outputs === undefined) return undefined;
  if (!Array.isArray(outputs) || outputs.length > 1) return { field: 'outputs', message: `want at most one, "${spec.output.name}"` };
  for (const [i, output] of outputs.entries()) {
    if (!isObject(output) || output.name !== spec.output.name)
      return { field: `outputs[${i}].name`, message: `want "${spec.output.name}"` };
  }
  return undefined;
}

/** Body of an answer. */
export const inferResponse = (spec: ModelSpec, request: InferRequest, output: Uint8Array) => ({
  model_name: spec.name,
  model_version: spec.version,
  ...(request.id !== undefined && { id: request.id }),
  outputs: [{ ...spec.output, data: [...output] }],
});

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

const bad = (field: string, message: string): ParsedInferRequest => ({ ok: false, bad: { field, message } });
