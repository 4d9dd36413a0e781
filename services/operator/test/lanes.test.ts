import { expect, test } from 'vitest';

import type { ChainClient } from '@cupel/chain/client';
import { memoryLogger } from '@cupel/testing/logger';

import { createLanes } from '../src/io/lanes.ts';
import { createLocks } from '../src/io/locks.ts';
import { OPERATOR } from './twin.ts';

test('nothing is read as settled while transactions of an earlier process are pending, nor again after the lease was lost', async () => {
  const nonces = { latest: 4, pending: 6 };
  let leads = true;
  const client = { chainId: 1n, nonce: (_account: string, at: 'latest' | 'pending') => Promise.resolve(nonces[at]) } as ChainClient;
  await using lanes = createLanes({ clock: { nowMs: () => 0 }, logger: memoryLogger(), leads: () => leads });
  await expect(lanes.settled(client, OPERATOR)).rejects.toThrow('2 transactions that an earlier operator sent');
  nonces.latest = 6;
  await lanes.settled(client, OPERATOR);
  // From here on what is pending is our own.
  nonces.pending = 7;
  await lanes.settled(client, OPERATOR);
  leads = false;
  await expect(lanes.settled(client, OPERATOR)).rejects.toThrow('1 transactions');
  expect(lanes.addresses(1n)).toEqual([OPERATOR]);
});

test('one at a time per key, in order, also after a failure', async () => {
  const locks = createLocks();
  const seen: string[] = [];
  const job =
    (name: string, ms: number, fails = false) =>
    async (): Promise<void> => {
      seen.push(`${name} begins`);
      await new Promise((resolve) => setTimeout(resolve, ms));
      seen.push(`${name} ends`);
      if (fails) throw new Error(name);
    };
  const results = await Promise.allSettled([locks('k', job('a', 10, true)), locks('k', job('b', 0)), locks('other', job('c', 0))]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
  expect(seen.indexOf('b begins')).toBeGreaterThan(seen.indexOf('a ends'));
  expect(seen.indexOf('c begins')).toBeLessThan(seen.indexOf('a ends'));
});
