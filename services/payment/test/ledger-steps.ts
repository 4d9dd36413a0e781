import type { Hex } from '@cupel/protocol/hex';
import { baseUnits, micro, MICRO_PER_BASE } from '@cupel/protocol/money';
import type { ReceiptEnvelope } from '@cupel/protocol/wire/receipt';
import fc from 'fast-check';

import { acceptVoucher, creditReceipt, observeChannel, registerChannel } from '../src/ledger/channel.ts';
import { chargeRequest } from '../src/ledger/charge.ts';
import { expireLeases, grantLease, releaseLease, renewLease } from '../src/ledger/lease.ts';
import { memoryLedger } from '../src/ledger/memory.ts';
import type { MemoryLedger } from '../src/ledger/memory.ts';
import type { Decision, LedgerView } from '../src/ledger/rows.ts';

/** Random commands on two channels; few ids, so that they meet: repeats, foreign leases, expired ones. */
export type Step = (view: LedgerView) => Decision<unknown>;

export const id = (kind: number, n: number): Hex => `0x${kind.toString(16).padStart(2, '0')}${n.toString(16).padStart(62, '0')}`;
const ADDRESS: Hex = `0x${'11'.repeat(20)}`;
const descriptor = { payer: ADDRESS, payee: ADDRESS, token: ADDRESS, signerKind: 0, signer: ADDRESS, withdrawDelay: 1, salt: id(9, 9) };

export const envelope = (requestId: Hex, price: bigint, cumulative: bigint): ReceiptEnvelope => ({
  version: 1,
  receipt: {
    versionId: id(5, 0),
    requestId,
    channelId: id(1, 0),
    inputHash: id(6, 0),
    outputHash: id(7, 0),
    paramsHash: id(8, 0),
    inputUnits: 1n,
    outputUnits: 1n,
    price,
    cumulative,
    beneficiary: ADDRESS,
    issuedAt: 1n,
    outcome: 0n,
  },
  signature: `0x${'22'.repeat(64)}`,
  grant: { versionId: id(5, 0), signer: ADDRESS, notAfter: 9n, signature: `0x${'33'.repeat(64)}` },
  params: {},
});

export const LIMIT = baseUnits(5n);
const channelNo = fc.integer({ min: 0, max: 1 });
const small = fc.integer({ min: 0, max: 12 }).map(BigInt);
export const microSum = fc.bigInt({ min: 0n, max: 6n * MICRO_PER_BASE });
const exposure = fc.boolean().map((stale) => ({ stale, limit: LIMIT }));

export const step: fc.Arbitrary<{ readonly name: string; readonly run: Step }> = fc.oneof(
  fc.record({ n: channelNo, deposit: small, closing: fc.boolean() }).map(({ n, deposit, closing }) => ({
    name: `observe ${n} deposit ${deposit}`,
    run: (view: LedgerView) =>
      observeChannel(view, {
        channelId: id(1, n),
        facts: { deposit: baseUnits(deposit), settled: baseUnits(0n), closeAt: closing ? 9 : 0, status: closing ? 'closing' : 'open' },
      }),
  })),
  fc.record({ n: channelNo, amount: small }).map(({ n, amount }) => ({
    name: `voucher ${n} ${amount}`,
    run: (view: LedgerView) =>
      acceptVoucher(view, { channelId: id(1, n), maxClaimable: baseUnits(amount), signature: `0x${'44'.repeat(64)}`, consumerId: null }),
  })),
  fc
    .record({ n: channelNo, lease: fc.integer({ min: 0, max: 60 }), minimum: microSum, wanted: microSum, expiry: small, exposure })
    .map((c) => ({
      name: `lease ${c.n} #${c.lease} ${c.minimum}..${c.wanted}`,
      run: (view: LedgerView) =>
        view.lease(`l${c.lease}`)
          ? ({ ok: true, value: undefined, changes: [] } as const)
          : grantLease(view, {
              leaseId: `l${c.lease}`,
              channelId: id(1, c.n),
              routerId: 'r',
              minimum: micro(c.minimum),
              wanted: micro(c.wanted),
              expiresAtMs: Number(c.expiry),
              exposure: c.exposure,
            }),
    })),
  fc.record({ lease: fc.integer({ min: 0, max: 60 }), request: fc.integer({ min: 0, max: 60 }), price: microSum, exposure }).map((c) => ({
    name: `charge #${c.lease} request ${c.request} ${c.price}`,
    run: (view: LedgerView) =>
      chargeRequest(view, {
        kind: 'draft',
        requestId: id(2, c.request),
        leaseId: `l${c.lease}`,
        price: micro(c.price),
        modelId: id(4, 0),
        publicName: 'm',
        fingerprint: `${c.price}`,
        payload: null,
        exposure: c.exposure,
        nowMs: 1,
        channelId: view.lease(`l${c.lease}`)?.channelId ?? id(1, 0),
        versionId: id(5, 0),
        seal: (price, cumulative) => ({ envelope: envelope(id(2, c.request), price, cumulative), receiptDigest: id(3, c.request) }),
      }),
  })),
  fc.integer({ min: 0, max: 60 }).map((n) => ({
    name: `release #${n}`,
    run: (view: LedgerView) => releaseLease(view, { leaseId: `l${n}`, routerId: 'r' }),
  })),
  small.map((n) => ({ name: `expire ${n}`, run: (view: LedgerView) => expireLeases(view, { nowMs: Number(n) }) })),
  fc.record({ n: fc.integer({ min: 0, max: 60 }), refund: small }).map(({ n, refund }) => ({
    name: `credit ${n} ${refund}`,
    run: (view: LedgerView) => creditReceipt(view, { receiptDigest: id(3, n), refund: baseUnits(refund), nowMs: 2 }),
  })),
  fc.record({ lease: fc.integer({ min: 0, max: 60 }), n: channelNo, expiry: small }).map(({ lease, n, expiry }) => ({
    name: `renew #${lease} until ${expiry}`,
    run: (view: LedgerView) => renewLease(view, { leaseId: `l${lease}`, channelId: id(1, n), routerId: 'r', expiresAtMs: Number(expiry) }),
  })),
);

/** The commands that open both channels with a voucher for all of the deposit. */
export const opening: readonly Step[] = [0, 1].flatMap((n): Step[] => [
  (view) =>
    registerChannel(view, {
      channelId: id(1, n),
      descriptor,
      consumerId: null,
      facts: { deposit: baseUnits(10n), settled: baseUnits(0n), closeAt: 0, status: 'open' },
      nowMs: 0,
    }),
  (view) => acceptVoucher(view, { channelId: id(1, n), maxClaimable: baseUnits(10n), signature: `0x${'44'.repeat(64)}`, consumerId: null }),
]);

export const opened = (): MemoryLedger => {
  const ledger = memoryLedger();
  for (const step of opening) ledger.run(step);
  return ledger;
};
