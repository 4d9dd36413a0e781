import { baseUnits } from '@cupel/protocol/money';
import type { RegistryEntry, StakeState } from '@cupel/protocol/wire/projections';
import { describe, expect, test } from 'vitest';

import { candidatesOf } from '../../src/choose/candidates.ts';
import type { WantedModel } from '../../src/choose/candidates.ts';

const NOBODY = `0x${'00'.repeat(20)}` as const;
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
const chat = { manifestSha256: wanted.manifestSha256, kind: 'chat' } as const;
const stake: StakeState = {
  version: 1,
  modelId: entry.modelId,
  staked: 100n,
  locked: 0n,
  unbonding: 0n,
  unbondEnd: 0,
  bond: 1_000_000n,
  slashed: 0n,
};
const NONE = { stake: 0n, bond: 0n };
const found = (entries: RegistryEntry[], model: WantedModel = wanted, of: StakeState | undefined = stake, least = NONE) =>
  candidatesOf(entries, model, (modelId) => (modelId === entry.modelId ? of : undefined), least);

describe('candidates', () => {
  test('the same model by hash; 0x before the manifest hash makes no difference', () => {
    expect(found([entry])).toHaveLength(1);
    expect(found([{ ...entry, manifestSha256: `0x${'D'.repeat(64)}` }])).toHaveLength(1);
    expect(found([{ ...entry, mode: 'Replay', arbiter: NOBODY }], chat)).toHaveLength(1);
  });

  test.each<[string, Partial<RegistryEntry>]>([
    ['another manifest', { manifestSha256: 'e'.repeat(64) }],
    ['another root', { verificationRoot: hash('15') }],
    ['another kind', { mode: 'Replay' }],
    ['an integer model without an arbiter', { arbiter: NOBODY }],
    ['a retired model', { status: 'retired' }],
    ['a suspended model', { status: 'suspended' }],
    ['no payout', { payout: undefined }],
    ['no endpoint', { endpoint: '' }],
    ['an endpoint that is no URL', { endpoint: 'not a url' }],
  ])('%s is left out', (_what, change) => expect(found([{ ...entry, ...change }])).toEqual([]));

  test.each<[string, Partial<StakeState>]>([
    ['no stake', { staked: 0n }],
    ['no bond', { bond: 0n }],
    ['a stake that is leaving', { unbondEnd: 1_800_000_000 }],
    ['less stake than this gateway wants', { staked: 49n }],
    ['less bond than this gateway wants', { bond: 499_999n }],
  ])('%s is left out', (_what, change) => {
    expect(found([entry], wanted, { ...stake, ...change }, { stake: 50n, bond: 500_000n })).toEqual([]);
    expect(found([entry], wanted, stake, { stake: 50n, bond: 500_000n })).toHaveLength(1);
  });

  test('a provider whose stake is not known gets nothing', () => {
    expect(candidatesOf([entry], wanted, () => undefined, NONE)).toEqual([]);
  });
});
