import { baseUnits } from '@cupel/protocol/money';
import type { RegistryEntry } from '@cupel/protocol/wire/projections';
import { describe, expect, test } from 'vitest';

import { candidatesOf } from '../../src/choose/candidates.ts';

const hash = (byte: string): `0x${string}` => `0x${byte.repeat(32)}`;
const entry: RegistryEntry = {
  version: 1,
  modelId: hash('01'),
  owner: `0x${'02'.repeat(20)}`,
  slug: 'a/b',
  payout: `0x${'03'.repeat(20)}`,
  versionId: hash('04'),
  versionNumber: 1,
  manifestSha256: 'd'.repeat(64),
  verificationRoot: hash('05'),
  mode: 'IntegerExecution',
  arbiter: `0x${'06'.repeat(20)}`,
  prices: { inputPerMillion: baseUnits(0n), outputPerMillion: baseUnits(0n), perRequest: baseUnits(1n) },
  endpoint: 'http://edge.example',
  specializations: [],
  status: 'active',
  faults: 0,
  registeredAtBlock: 1,
};
const wanted = { manifestSha256: 'd'.repeat(64), kind: 'integer', verificationRoot: hash('05') } as const;

describe('candidates', () => {
  test('the same model by hash; 0x before the manifest hash makes no difference', () => {
    expect(candidatesOf([entry], wanted)).toHaveLength(1);
    expect(candidatesOf([{ ...entry, manifestSha256: `0x${'D'.repeat(64)}` }], wanted)).toHaveLength(1);
    expect(candidatesOf([entry], { manifestSha256: wanted.manifestSha256, kind: 'integer' })).toHaveLength(1);
  });

  test.each<[string, Partial<RegistryEntry>]>([
    ['another manifest', { manifestSha256: 'e'.repeat(64) }],
    ['another root', { verificationRoot: hash('15') }],
    ['another kind', { mode: 'Replay' }],
    ['a retired model', { status: 'retired' }],
    ['a suspended model', { status: 'suspended' }],
    ['no payout', { payout: undefined }],
    ['no endpoint', { endpoint: '' }],
    ['an endpoint that is no URL', { endpoint: 'not a url' }],
  ])('%s is left out', (_what, change) => expect(candidatesOf([{ ...entry, ...change }], wanted)).toEqual([]));
});
