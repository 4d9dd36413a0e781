import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import { z } from 'zod';

import { parseJsonObject } from './chat-request.ts';

/** Most bytes of one tensor; the integer spec bounds a layer's length to the same. */
export const MAX_TENSOR_BYTES = 65_536;

const byte = z.number().int().min(0).max(255);
const tensor = z.looseObject({
  name: z.string().min(1).max(100),
  datatype: z.literal('UINT8'),
  shape: z.array(z.number().int().min(1)).min(1).max(8),
  data: z.union([z.array(byte).max(MAX_TENSOR_BYTES), z.array(z.array(byte).max(MAX_TENSOR_BYTES)).max(1)]),
});
const request = z.looseObject({ inputs: z.array(tensor).length(1) });
const answer = z.looseObject({ outputs: z.array(tensor).length(1) });

/**
 * The input bytes of an inference request: one UINT8 tensor, flat or nested once. Source: Open Inference Protocol v2, REST.
 * Refuses with malformed_json or invalid_field.
 */
export const inferInput = (body: Uint8Array): Uint8Array | Refusal => {
  const json = parseJsonObject(body);
  if (!json.ok) return json.refusal;
  const parsed = request.safeParse(json.value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const param = issue?.path.map(String).join('.') ?? '';
    return refuse('invalid_field', `"${param}": ${issue?.message ?? 'is not valid'}`, { param });
  }
  const bytes = bytesOf(parsed.data.inputs[0]!);
  return bytes ?? refuse('invalid_field', '"inputs.0.data": its length does not agree with "shape"', { param: 'inputs.0.data' });
};

/** The output bytes of an engine's answer; undefined when it is no answer with one UINT8 tensor. */
export const inferOutput = (body: Uint8Array): Uint8Array | undefined => {
  const json = parseJsonObject(body);
  const parsed = json.ok ? answer.safeParse(json.value) : undefined;
  return parsed?.success ? bytesOf(parsed.data.outputs[0]!) : undefined;
};

const bytesOf = (t: z.output<typeof tensor>): Uint8Array | undefined => {
  const bytes = Uint8Array.from(t.data.flat());
  const wanted = t.shape.reduce((a, b) => a * b, 1);
  return bytes.length === wanted && bytes.length > 0 ? bytes : undefined;
};

/** The JSON of a request with one input tensor [1, n]. */
export const inferBody = (input: Uint8Array): string =>
  JSON.stringify({ inputs: [{ name: 'input', datatype: 'UINT8', shape: [1, input.length], data: [...input] }] });
