import { expect, test } from 'vitest';

import { modelProvider } from '@cupel/protocol/crd/objects';
import type { ModelProvider } from '@cupel/protocol/crd/objects';
import type { Hex } from '@cupel/protocol/hex';
import { micro } from '@cupel/protocol/money';
import { claimsPostSubject, edgeScope } from '@cupel/protocol/wire/subjects';

import { claimant, due, edgeOf } from '../src/claims/claims.ts';
import { specOf } from './twin.ts';

const VERSION: Hex = `0x${'01'.repeat(32)}`;
const object = (namespace: string, edge: string, versionId: Hex): ModelProvider =>
  modelProvider.parse({
    metadata: { name: 'digits', namespace },
    spec: specOf({ edgeRef: { name: edge } }),
    status: { onChain: { modelId: '0x1', versionId } },
  }) as ModelProvider;
const request = { version: 1 as const, versionId: VERSION, root: VERSION, count: 1, maxPrice: micro(1n) };

test('the subject says whose edge asks', () => {
  expect(edgeOf(claimsPostSubject(edgeScope('honest', 'edge')))).toEqual({ namespace: 'honest', edge: 'edge' });
  expect(edgeOf('cupel.v1.gateway.main.claims.post')).toBeUndefined();
});

test('an edge may post for its own versions only', () => {
  const mine = object('honest', 'edge', VERSION);
  expect(claimant([object('other', 'edge', VERSION), mine], 'cupel.v1.edge.honest.edge.claims.post', request)).toBe(mine);
  expect(claimant([mine], 'cupel.v1.edge.cheat.edge.claims.post', request)).toMatchObject({ reason: 'version_unknown' });
  expect(claimant([mine], 'cupel.v1.edge.honest.other.claims.post', request)).toMatchObject({ reason: 'version_unknown' });
  expect(claimant([object('honest', 'edge', `0x${'02'.repeat(32)}`)], 'cupel.v1.edge.honest.edge.claims.post', request)).toMatchObject({
    reason: 'version_unknown',
  });
});

test('what is due by the time of the head', () => {
  const claim = (finalizableAt: number, status: 'open' | 'final' = 'open') => ({
    version: 1 as const,
    claimId: VERSION,
    versionId: VERSION,
    root: VERSION,
    count: 1,
    maxPrice: 1n,
    locked: 1n,
    finalizableAt,
    status,
    postedTx: VERSION,
  });
  expect(due([claim(20), claim(10), claim(11), claim(5, 'final')], 11).map(({ finalizableAt }) => finalizableAt)).toEqual([10, 11]);
});
