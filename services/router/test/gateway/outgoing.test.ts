import { baseUnits, micro } from '@cupel/protocol/money';
import type { OutgoingValue } from '@cupel/protocol/wire/bus';
import { fakeClock } from '@cupel/testing/clock';
import { describe, expect, test } from 'vitest';

import { isRefusal } from '../../src/admit/refusals.ts';
import { OutgoingBook } from '../../src/gateway/outgoing.ts';
import type { OutgoingHold } from '../../src/gateway/outgoing.ts';

const PAYEE = `0x${'01'.repeat(20)}` as const;
const MODEL = `0x${'02'.repeat(32)}` as const;

const book = (headroom: bigint) => {
  const needs: bigint[] = [];
  let receipted = 0n;
  const clock = fakeClock();
  const payments = {
    async outgoing({ need }: { readonly need: bigint }): Promise<OutgoingValue> {
      needs.push(need);
      await Promise.resolve();
      const max = (receipted + need + 999_999n) / 1_000_000n + headroom;
      return {
        channelId: `0x${'03'.repeat(32)}`,
        descriptor: {
          payer: PAYEE,
          payee: PAYEE,
          token: PAYEE,
          signerKind: 0,
          signer: PAYEE,
          withdrawDelay: 1,
          salt: `0x${'00'.repeat(32)}`,
        },
        session: {
          key: `0x${'04'.repeat(32)}`,
          keyHash: `0x${'05'.repeat(32)}`,
          maxUnpaid: 0n,
          notAfter: BigInt(clock.nowMs()),
          signature: `0x${'06'.repeat(64)}`,
        },
        voucher: { maxClaimableAmount: baseUnits(max), signature: `0x${'07'.repeat(64)}` },
        receipted: micro(receipted),
      };
    },
  };
  const out = new OutgoingBook(payments, clock);
  return {
    needs,
    bill: (amount: bigint) => (receipted += amount),
    out,
    hold: async (need: bigint, require?: bigint): Promise<OutgoingHold> => {
      const hold = await out.hold(PAYEE, MODEL, micro(need), require === undefined ? undefined : baseUnits(require));
      if (isRefusal(hold)) throw new Error(hold.message);
      return hold;
    },
  };
};

describe('paying a provider', () => {
  test('one voucher covers many requests', async () => {
    const b = book(100n);
    for (let i = 0; i < 50; i++) {
      const hold = await b.hold(1_000_000n);
      hold.receipted({ price: 1_000_000n, cumulative: b.bill(1_000_000n) });
      hold.release();
    }
    expect(b.needs).toEqual([1_000_000n]);
  });

  test('requests in flight are covered together', async () => {
    const b = book(0n);
    await b.hold(1_000_000n);
    const second = await b.hold(2_000_000n);
    expect(b.needs).toEqual([1_000_000n, 3_000_000n]);
    expect(second.value.voucher.maxClaimableAmount).toBe(3n);
    second.release();
    second.release();
    await b.hold(2_000_000n);
    expect(b.needs).toHaveLength(2);
  });

  test('an edge that counts more than we do gets what it requires', async () => {
    const b = book(0n);
    await b.hold(1_000_000n);
    const hold = await b.hold(2_000_000n, 5n);
    expect(hold.value.voucher.maxClaimableAmount).toBe(5n);
  });

  test('an edge that demands more than it can have counted gets nothing, however often it asks', async () => {
    const b = book(100n);
    const first = await b.hold(1_000_000n);
    expect(first.value.voucher.maxClaimableAmount).toBe(101n);
    first.release();
    // What was given freely, and one request on top of it: an edge may have reserved as much for others.
    expect((await b.hold(1_000_000n, 102n)).value.voucher.maxClaimableAmount).toBe(202n);
    for (let i = 0; i < 5; i++) {
      expect(await b.out.hold(PAYEE, MODEL, micro(1_000_000n), baseUnits(204n))).toMatchObject({ reason: 'no_provider' });
      b.out.forget(PAYEE);
    }
    expect(Math.max(...b.needs.map(Number))).toBe(102_000_000);
  });

  test('attempts whose outcome stayed unknown may have been counted', async () => {
    const b = book(0n);
    (await b.hold(1_000_000n)).release();
    const refused = await b.out.hold(PAYEE, MODEL, micro(1_000_000n), baseUnits(9n));
    expect(refused).toMatchObject({ reason: 'no_provider' });
    for (let i = 0; i < 7; i++) {
      const hold = await b.hold(1_000_000n);
      hold.unknown();
      hold.release();
    }
    const hold = await b.hold(1_000_000n, 9n);
    expect(hold.value.voucher.maxClaimableAmount).toBe(9n);
    // A receipt that counts them shows that they were counted: they are not unknown any more.
    hold.receipted({ price: 1_000_000n, cumulative: 8_000_000n });
    hold.release();
    expect(await b.out.hold(PAYEE, MODEL, micro(1_000_000n), baseUnits(17n))).toMatchObject({ reason: 'no_provider' });
  });

  test('many at once ask few questions', async () => {
    const b = book(1000n);
    await Promise.all(Array.from({ length: 64 }, () => b.hold(1_000_000n)));
    expect(b.needs.length).toBeLessThan(4);
  });
});
