import { describe, expect, test } from 'vitest';

import { canonicalJson } from '../src/ids.ts';
import { errorBody, refuse } from '../src/reasons.ts';
import { manifest } from '../src/wire/manifest.ts';
import { address, baseAmount, encodeJson, httpUrl } from '../src/wire/scalars.ts';
import { edgeScope, gatewayScope, receiptsStream } from '../src/wire/subjects.ts';

describe('scalars', () => {
  test('a bigint survives the wire', () => {
    const text = encodeJson({ amount: (1n << 100n) + 1n });
    expect(baseAmount.parse((JSON.parse(text) as { amount: string }).amount)).toBe((1n << 100n) + 1n);
  });
  test.each(['-5', '1.5', '1e9', '', ' 7'])('%j is no amount', (text) => expect(baseAmount.safeParse(text).success).toBe(false));
  test('addresses come out in lower case', () => expect(address.parse(`0x${'AB'.repeat(20)}`)).toBe(`0x${'ab'.repeat(20)}`));
  test.each(['ftp://x', 'http://user:pw@x', 'javascript:alert(1)', 'http://'])('%j is no endpoint', (url) =>
    expect(httpUrl.safeParse(url).success).toBe(false),
  );
});

test('canonical JSON sorts keys at every level and drops undefined', () => {
  expect(canonicalJson({ b: 1, a: { d: [2, { z: 1, y: 2 }], c: undefined } })).toBe('{"a":{"d":[2,{"y":2,"z":1}]},"b":1}');
});

test('a refusal is an OpenAI error body with the remedy in its message', () => {
  expect(errorBody(refuse('model_not_found', 'the model "x" does not exist', { param: 'model' }))).toEqual({
    error: {
      message: 'the model "x" does not exist; choose a model that GET /v1/models lists',
      type: 'invalid_request_error',
      param: 'model',
      code: 'model_not_found',
    },
  });
});

test.each(['/etc/passwd', '../x', 'a/../b', 'a\\b', ''])('a manifest refuses the path %j', (path) => {
  const file = { path, size: 1, sha256: 'a'.repeat(64), cid: `b${'a'.repeat(58)}`, profile: 'raw' };
  expect(manifest.safeParse({ version: 1, name: 'x', files: [file] }).success).toBe(false);
  expect(manifest.safeParse({ version: 1, name: 'x', files: [{ ...file, path: 'a/b.bin' }] }).success).toBe(true);
});

test('stream names have no dots', () => expect(receiptsStream(gatewayScope('main-1'))).toBe('RECEIPTS_gateway_main-1'));
test('no two edges share a stream', () =>
  expect(receiptsStream(edgeScope('team-a', 'edge'))).not.toBe(receiptsStream(edgeScope('team', 'a-edge'))));
