import type { Hex } from '@cupel/protocol/hex';
import { hexToBytes } from '@cupel/protocol/hex';
import { baseUnits, micro } from '@cupel/protocol/money';
import { receiptRoot } from '@cupel/protocol/receipt-tree';
import { keccak256 } from '@cupel/signing/keccak';
import { describe, expect, test } from 'vitest';

import type { ChannelRow } from '../src/ledger/rows.ts';
import { claimIdOf, planClaims } from '../src/settle/claims.ts';
import { owedOnChain, planRedeems, settled, splitFailed, underwayOf } from '../src/settle/redeem.ts';
import type { Settlement } from '../src/settle/redeem.ts';
import { consumer, descriptorOf, gatewayPayout, hex32, idOf } from './arrange.ts';

const channel = (salt: number, over: Partial<ChannelRow> = {}): ChannelRow => {
  const descriptor = descriptorOf(consumer, gatewayPayout, salt);
  return {
    channelId: idOf(descriptor),
    descriptor,
    consumerId: null,
    ceiling: baseUnits(100n),
    voucher: `0x${'11'.repeat(64)}`,
    charged: micro(10_000_001n),
    credited: micro(0n),
    leased: micro(0n),
    staleBase: null,
    deposit: baseUnits(100n),
    settled: baseUnits(0n),
    closeAt: 0,
    status: 'open',
    requests: 1,
    registeredAtMs: 0,
    ...over,
  };
};

const policy = { threshold: baseUnits(20n), safetySeconds: 100, maxRows: 2 };
const situation = (channels: ChannelRow[], over: object = {}) => ({
  channels,
  underway: new Map<Hex, ReturnType<typeof baseUnits>>(),
  nowSeconds: 1_000,
  everything: false,
  ...over,
});

describe('redeem', () => {
  test('what is owed is net of credits, rounded up once, and never beyond the voucher', () => {
    expect(owedOnChain(channel(1))).toBe(11n);
    expect(owedOnChain(channel(1, { credited: micro(1n) }))).toBe(10n);
    expect(owedOnChain(channel(1, { ceiling: baseUnits(3n) }))).toBe(3n);
  });

  test('below the threshold nothing, at it all channels in batches, and everything when asked', () => {
    expect(planRedeems(situation([channel(1)]), policy)).toEqual([]);
    const plan = planRedeems(situation([channel(1), channel(2), channel(3)]), policy);
    expect(plan.map((b) => b.rows.length)).toEqual([2, 1]);
    expect(plan[0]!.rows[0]).toMatchObject({ amount: 11n, maxClaimable: 100n });
    expect(planRedeems(situation([channel(1)], { everything: true }), policy)).toHaveLength(1);
  });

  test('a closing channel is redeemed when nothing more can come, or its end is near', () => {
    const closing = { status: 'closing', closeAt: 2_000 } as const;
    expect(planRedeems(situation([channel(1, closing)]), policy)).toHaveLength(1);
    expect(planRedeems(situation([channel(1, { ...closing, leased: micro(1n) })]), policy)).toEqual([]);
    expect(planRedeems(situation([channel(1, { ...closing, leased: micro(1n) })], { nowSeconds: 1_900 }), policy)).toHaveLength(1);
  });

  test('settled and underway amounts are not redeemed again, a higher one is', () => {
    expect(planRedeems(situation([channel(1, { settled: baseUnits(11n) })], { everything: true }), policy)).toEqual([]);
    const underway = new Map([[channel(1).channelId, baseUnits(11n)]]);
    expect(planRedeems(situation([channel(1)], { everything: true, underway }), policy)).toEqual([]);
    expect(planRedeems(situation([channel(1, { charged: micro(12_000_000n) })], { everything: true, underway }), policy)).toHaveLength(1);
  });

  test('payees and tokens are never mixed in one transaction', () => {
    const other = channel(2);
    const foreign = { ...other, descriptor: { ...other.descriptor, token: hex32(1).slice(0, 42) as Hex } };
    expect(planRedeems(situation([channel(1), foreign], { everything: true }), policy)).toHaveLength(2);
  });

  test('unknown stays a state: the amounts stay underway until the same key is answered', () => {
    const [batch] = planRedeems(situation([channel(1), channel(2)]), policy);
    const planned: Settlement = { id: 'a', batch: batch!, state: 'planned', hash: null, message: null, plannedAtMs: 0, endedAtMs: null };
    const unknown = settled(planned, { kind: 'unknown', message: 'no answer' }, 5);
    expect(unknown.state).toBe('planned');
    expect(underwayOf([unknown], 1e9, true).size).toBe(2);
    const done = settled(unknown, { kind: 'mined', hash: hex32(1) }, 5);
    expect(underwayOf([done], 10, true).size).toBe(2);
    expect(underwayOf([done], 1e9, true).size).toBe(0);
    const failed = settled(planned, { kind: 'reverted', message: 'no' }, 5);
    expect(underwayOf([failed], 10, false).size).toBe(0);
    expect(splitFailed(failed.batch).map((b) => b.rows.length)).toEqual([1, 1]);
    const single = { ...failed, batch: splitFailed(failed.batch)[0]! };
    expect(underwayOf([single], 10, false).size).toBe(1);
    expect(underwayOf([single], 10, true).size).toBe(0);
  });
});

describe('claims', () => {
  const receipt = (n: number, versionId: Hex, heldAtMs = 0) => ({
    requestId: hex32(n),
    versionId,
    receiptDigest: hex32(100 + n),
    price: micro(BigInt(n)),
    heldAtMs,
  });
  const [court, none, unknown] = [hex32(1), hex32(2), hex32(3)];
  const hasArbiter = (v: Hex) => ({ [court]: true, [none]: false })[v];

  test('a full batch at once, a young one later; versions without arbiter are counted, unknown ones wait', () => {
    const all = [receipt(1, court), receipt(2, none), receipt(3, court), receipt(4, unknown), receipt(5, court)];
    const plan = planClaims(keccak256, all, hasArbiter, { everySeconds: 10, maxCount: 2 }, 5_000);
    expect(plan.claims.map((c) => c.receipts.map((r) => r.requestId))).toEqual([[hex32(1), hex32(3)]]);
    expect(plan.unarbitrated.map((r) => r.requestId)).toEqual([hex32(2)]);
    expect(planClaims(keccak256, all, hasArbiter, { everySeconds: 10, maxCount: 2 }, 10_000).claims).toHaveLength(2);
  });

  test('root, count and highest price are those of the batch', () => {
    const batch = [receipt(7, court), receipt(3, court)];
    const [planned] = planClaims(keccak256, batch, hasArbiter, { everySeconds: 1, maxCount: 9 }, 5_000).claims;
    const root = receiptRoot(
      keccak256,
      batch.map((r) => hexToBytes(r.receiptDigest)),
    );
    expect(hexToBytes(planned!.claim.root)).toEqual(root);
    expect(planned!.claim).toMatchObject({ count: 2, maxPrice: 7n, claimId: claimIdOf(keccak256, court, planned!.claim.root) });
  });
});
