import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import { encodeJson } from '@cupel/protocol/wire/scalars';

import { vectors } from '../scripts/vectors.ts';

test('the shared vectors that Solidity reads are what TypeScript computes', () => {
  const stored: unknown = JSON.parse(readFileSync(new URL('../../protocol/test/vectors/eip712.json', import.meta.url), 'utf8'));
  expect(JSON.parse(encodeJson(vectors()))).toEqual(stored);
});
