import { describe, expect, test } from 'vitest';

import { inferResponse, parseInferRequest } from '../src/infer/request.ts';
import { routeOf } from '../src/infer/route.ts';
import { modelMetadata } from '../src/infer/tensor-spec.ts';
import { body, pixels, spec } from './fixture.ts';

const withTensor = (more: object): string => body(pixels(1), more);

describe('parseInferRequest', () => {
  test.each([
    ['flat', pixels(1)],
    ['one row', [pixels(1)]],
  ])('%s data is the input', (_name, data) => {
    const parsed = parseInferRequest(body(data), spec);
    expect(parsed).toEqual({ ok: true, request: { input: Uint8Array.from(pixels(1)) } });
  });

  test('an id comes back in the answer', () => {
    const text = JSON.stringify({ ...JSON.parse(body(pixels(1))), id: 'q-1', parameters: { anything: 1 }, outputs: [{ name: 'output' }] });
    const parsed = parseInferRequest(text, spec);
    if (!parsed.ok) throw new Error(parsed.bad.message);
    expect(inferResponse(spec, parsed.request, Uint8Array.of(1, 2))).toEqual({
      model_name: 'digits',
      model_version: '1',
      id: 'q-1',
      outputs: [{ name: 'output', datatype: 'UINT8', shape: [1, 10], data: [1, 2] }],
    });
  });

  const shortened = pixels(1).slice(1);
  const spoiled = (value: unknown): unknown[] => pixels(1).map((pixel, i) => (i === 17 ? value : pixel));
  test.each<[string, string, string]>([
    ['{"inputs":', 'body', 'want JSON'],
    ['[]', 'body', 'want an object'],
    ['{}', 'inputs', 'want one tensor'],
    ['{"id":7,"inputs":[{}]}', 'id', 'want a string of at most 256 characters'],
    ['{"inputs":[{},{}]}', 'inputs', 'want one tensor'],
    ['{"inputs":[null]}', 'inputs[0]', 'want an object'],
    ['{"inputs":[{}],"outputs":[{"name":"logits"}]}', 'outputs[0].name', 'want "output"'],
    ['{"inputs":[{}],"outputs":{}}', 'outputs', 'want at most one, "output"'],
    [withTensor({ name: 'x' }), 'inputs[0].name', 'want "input"'],
    [withTensor({ datatype: 'FP32' }), 'inputs[0].datatype', 'want "UINT8"'],
    [withTensor({ shape: [196] }), 'inputs[0].shape', 'want [1, 196]'],
    [withTensor({ shape: [2, 196] }), 'inputs[0].shape', 'want [1, 196]'],
    [
      withTensor({ parameters: { binary_data_size: 196 } }),
      'inputs[0].parameters.binary_data_size',
      'binary tensor data is not supported; send data as JSON numbers',
    ],
    [withTensor({ data: 'AAAA' }), 'inputs[0].data', 'want an array of 196 numbers'],
    [body(shortened), 'inputs[0].data', 'want 196 numbers, got 195'],
    [body([shortened]), 'inputs[0].data[0]', 'want 196 numbers, got 195'],
    [body([[pixels(1)]]), 'inputs[0].data[0]', 'want 196 numbers, got 1'],
    [body(spoiled(256)), 'inputs[0].data[17]', 'want an integer 0 to 255, got 256'],
    [body(spoiled(-1)), 'inputs[0].data[17]', 'want an integer 0 to 255, got -1'],
    [body(spoiled(0.5)), 'inputs[0].data[17]', 'want an integer 0 to 255, got 0.5'],
    [body([spoiled('1')]), 'inputs[0].data[0][17]', 'want an integer 0 to 255, got string'],
    [body(spoiled(null)), 'inputs[0].data[17]', 'want an integer 0 to 255, got null'],
  ])('%.60s → %s', (text, field, message) => {
    expect(parseInferRequest(text, spec)).toEqual({ ok: false, bad: { field, message } });
  });
});

test('metadata is the protocol’s', () => {
  expect(modelMetadata(spec)).toEqual({
    name: 'digits',
    versions: ['1'],
    platform: 'cupel_integer_v1',
    inputs: [{ name: 'input', datatype: 'UINT8', shape: [1, 196] }],
    outputs: [{ name: 'output', datatype: 'UINT8', shape: [1, 10] }],
  });
});

test.each([
  ['/v2', 'server'],
  ['/v2/health/live', 'live'],
  ['/v2/health/ready', 'ready'],
  ['/v2/models/digits', 'model'],
  ['/v2/models/d%69gits/ready', 'model-ready'],
  ['/v2/models/digits/versions/1/infer', 'infer'],
  ['/v2/models/digits/infer', 'infer'],
  ['/metrics', 'metrics'],
  ['/v2/models/digits/versions/2/infer', 'unknown'],
  ['/v2/models/other/infer', 'unknown'],
  ['/v2/models/%zz/infer', 'unknown'],
  ['/v2/models', 'unknown'],
  ['/', 'unknown'],
])('%s is %s', (path, endpoint) => {
  expect(routeOf(path, spec).endpoint).toBe(endpoint);
});
