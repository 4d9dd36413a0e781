import { micro } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import type { ChargeRequest, ChargeValue } from '@cupel/protocol/wire/bus';
import { fakeClock } from '@cupel/testing/clock';
import { memoryLogger } from '@cupel/testing/logger';
import { expect, test } from 'vitest';

import { LeaseBook } from '../../src/admit/leases.ts';
import { isRefusal } from '../../src/admit/refusals.ts';
import { Charger } from '../../src/meter/charger.ts';

const CHANNEL = `0x${'01'.repeat(32)}` as const;
const REQUEST = {
  version: 1 as const,
  requestId: `0x${'02'.repeat(32)}` as const,
  price: micro(3n),
  publicName: 'm',
  modelId: `0x${'03'.repeat(32)}` as const,
};

const open = async (answers: (Error | Refusal | 'ok')[]) => {
  const clock = fakeClock();
  let n = 0;
  const leases = new LeaseBook({
    clock,
    ahead: 1n,
    marginMs: 0,
    idleMs: 1000,
    onRenewFailed: () => undefined,
    source: {
      lease: async ({ minimum }) => ({ leaseId: `l${++n}`, channelId: CHANNEL, amount: minimum, expiresAtMs: clock.nowMs() + 10_000 }),
      release: async () => undefined,
    },
  });
  const asked: string[] = [];
  const charger = new Charger({
    leases,
    logger: memoryLogger(),
    sleep: async () => undefined,
    charge: async (request: ChargeRequest): Promise<ChargeValue | Refusal> => {
      asked.push(request.leaseId);
      const answer = answers.shift() ?? 'ok';
      if (answer instanceof Error) throw answer;
      return answer === 'ok' ? { requestId: request.requestId, cumulative: micro(3n) } : answer;
    },
  });
  const hold = await leases.hold(CHANNEL, micro(10n));
  if (isRefusal(hold)) throw new Error(hold.message);
  return { charger, hold, leases, asked };
};

test('the hold is settled at the price', async () => {
  const { charger, hold, leases } = await open([]);
  expect(isRefusal(await charger.close(hold, CHANNEL, REQUEST))).toBe(false);
  expect(leases.free(CHANNEL)).toBe(7n);
});

test('a ledger that does not answer is asked again: the request id makes it safe', async () => {
  const { charger, hold, asked } = await open([new Error('no answer'), new Error('no answer'), 'ok']);
  expect(isRefusal(await charger.close(hold, CHANNEL, REQUEST))).toBe(false);
  expect(asked).toEqual(['l1', 'l1', 'l1']);
});

test('a ledger that never answers: ledger_unavailable, and the hold is given back', async () => {
  const { charger, hold, leases } = await open(Array.from({ length: 20 }, () => new Error('no answer')));
  expect(await charger.close(hold, CHANNEL, REQUEST)).toMatchObject({ reason: 'ledger_unavailable' });
  expect(leases.free(CHANNEL)).toBe(10n);
});

test('a lease that ended during a long answer: charged on a fresh one', async () => {
  const { charger, hold, asked, leases } = await open([refuse('no_channel', 'the lease is not known'), 'ok']);
  expect(isRefusal(await charger.close(hold, CHANNEL, REQUEST))).toBe(false);
  expect(asked).toEqual(['l1', 'l2']);
  expect(leases.free(CHANNEL)).toBe(0n);
});

test('a refusal that lasts is told', async () => {
  const { charger, hold } = await open([refuse('receipt_unfit', 'x'), refuse('receipt_unfit', 'x')]);
  expect(await charger.close(hold, CHANNEL, REQUEST)).toMatchObject({ reason: 'receipt_unfit' });
});
