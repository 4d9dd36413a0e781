import { expect, test } from 'vitest';

import { market as marketSchema } from '@cupel/protocol/crd/objects';
import type { Market } from '@cupel/protocol/crd/objects';
import type { Hex } from '@cupel/protocol/hex';

import { decideMarket } from '../src/reconcilers/market/decide.ts';
import type { ChainFacts } from '../src/reconcilers/market/observe.ts';

const NAMES = ['stakeToken', 'paymentToken', 'stakeVault', 'modelRegistry', 'paymentChannels', 'claimManager', 'disputeManager'];
const ADDRESS: Hex = `0x${'0a'.repeat(20)}`;
const HASH: Hex = `0x${'11'.repeat(32)}`;

const object = (status?: object): Market =>
  marketSchema.parse({
    metadata: { name: 'local', generation: 3 },
    spec: { chain: { id: 31_337 }, rpc: [{ name: 'a', url: 'http://a' }], contracts: Object.fromEntries(NAMES.map((n) => [n, ADDRESS])) },
    ...(status === undefined ? {} : { status }),
  }) as Market;

const right: Extract<ChainFacts, { rightChain: true }> = {
  reachable: true,
  rightChain: true,
  chainId: 31_337,
  code: Object.fromEntries(NAMES.map((n) => [n, HASH])),
  finality: undefined,
  accounts: [{ address: ADDRESS, wei: 10n ** 18n }],
};

const decide = (facts: ChainFacts, status?: object) => {
  const plan = decideMarket({ object: object(status), facts, nowMs: Date.parse('2026-11-24T12:00:00Z') });
  return { ...plan, condition: (type: string) => plan.status.conditions?.find((c) => c.type === type) };
};

test('a market as it should be', () => {
  const { status, condition, lookAgainInMs } = decide(right);
  expect(condition('Ready')).toMatchObject({ status: 'True', observedGeneration: 3 });
  expect(status.codeHashes).toHaveLength(7);
  expect(status.accounts).toEqual([{ address: ADDRESS, float: 'Enough' }]);
  expect(lookAgainInMs).toBe(30_000);
});

test('looked at again, nothing changes', () => {
  const first = decide(right).status;
  expect(decide(right, first).status).toEqual(first);
});

test('a wrong chain id names both', () => {
  const { condition, status } = decide({
    reachable: true,
    rightChain: false,
    chainId: 5,
    message: 'a is chain 5, the configuration says 31337',
  });
  expect(condition('ChainIdMatches')).toMatchObject({ status: 'False', reason: 'WrongChainId' });
  expect(condition('Ready')?.message).toContain('spec.chain.id is 31337, but a is chain 5');
  expect(status.chainId).toBe(5);
});

test('an unreachable chain keeps what was known of it', () => {
  const before = decide(right).status;
  const { condition, status, lookAgainInMs } = decide({ reachable: false, message: 'connection refused' }, before);
  expect(condition('Ready')).toMatchObject({ status: 'False', reason: 'Unreachable' });
  expect(condition('CodePresent')).toMatchObject({ status: 'True' });
  expect(status.codeHashes).toEqual(before.codeHashes);
  expect(lookAgainInMs).toBe(5000);
});

test('missing and changed code, missing head, empty purse', () => {
  expect(decide({ ...right, code: { ...right.code, stakeVault: undefined } }).condition('Ready')?.message).toContain(
    'spec.contracts.stakeVault',
  );
  const before = decide(right).status;
  const changed = decide({ ...right, code: { ...right.code, stakeVault: `0x${'22'.repeat(32)}` } }, before);
  expect(changed.condition('CodePresent')).toMatchObject({ status: 'False', reason: 'CodeChanged' });
  expect(changed.status.codeHashes).toEqual(before.codeHashes);
  expect(decide({ ...right, finality: 'the node knows no safe head' }).condition('Ready')).toMatchObject({
    status: 'False',
    reason: 'NoSuchHead',
  });
  const poor = decide({ ...right, accounts: [{ address: ADDRESS, wei: 1n }] });
  expect(poor.condition('AccountsFunded')).toMatchObject({ status: 'False', reason: 'LowFloat' });
  expect(poor.condition('Ready')?.status).toBe('True');
});
