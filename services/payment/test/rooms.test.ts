import { baseUnits, micro } from '@cupel/protocol/money';
import { describe, expect, test } from 'vitest';

import { exposureLeft, requiredCeiling, shortfall, unreserved } from '../src/quote/allowance.ts';
import { needsTopUp, quoteVoucher } from '../src/quote/prepaid.ts';
import { observeDeposit, settleDeposit } from '../src/voucher/finality.ts';
import { voucherChecks } from '../src/voucher/verify.ts';
import { checkDescriptor } from '../src/voucher/verify.ts';
import { keccak256 } from '@cupel/signing/keccak';
import { recover } from '@cupel/signing/secp256k1';
import {
  CHAIN_ID,
  channelState,
  checks,
  consumer,
  contracts,
  descriptorOf,
  digestOf,
  digests,
  envelopeOf,
  gatewayPayout,
  hex20,
  hex32,
  idOf,
  owner,
  payer,
  receipts,
  voucherOf,
} from './arrange.ts';

const sums = (over: object) => ({
  ceiling: baseUnits(10n),
  deposit: baseUnits(20n),
  charged: micro(0n),
  credited: micro(0n),
  leased: micro(0n),
  staleBase: null,
  ...over,
});
const fresh = { stale: false, limit: baseUnits(3n) };
const stale = { stale: true, limit: baseUnits(3n) };

describe('allowance', () => {
  test('the lower of ceiling and deposit counts, charges and leases are taken off, credits come back', () => {
    expect(unreserved(sums({ charged: micro(4_000_001n), leased: micro(1n), credited: micro(2n) }))).toBe(6_000_000n);
    expect(unreserved(sums({ deposit: baseUnits(7n), charged: micro(4_000_000n) }))).toBe(3_000_000n);
    expect(unreserved(sums({ deposit: baseUnits(1n), charged: micro(4_000_000n) }))).toBe(0n);
  });

  test('what is missing is rounded up once, and the deposit is named when it is short too', () => {
    expect(requiredCeiling(sums({ charged: micro(9_999_999n) }), micro(2n))).toBe(11n);
    const refusal = shortfall(sums({ charged: micro(9_999_999n) }), fresh, micro(2n));
    expect(refusal).toMatchObject({ reason: 'insufficient_voucher', required: 11n, missing: 1n });
    expect(shortfall(sums({}), fresh, micro(30_000_000n))?.message).toContain('the deposit of 20 must be topped up');
  });

  test('with a stale head only the exposure is served, then 402 with the amount missing', () => {
    expect(exposureLeft(sums({ charged: micro(5_000_000n), staleBase: micro(4_000_000n) }), stale)).toBe(2_000_000n);
    expect(shortfall(sums({ charged: micro(5_000_000n), staleBase: micro(4_000_000n) }), stale, micro(2_500_000n))).toMatchObject({
      reason: 'exposure_reached',
      missing: 1n,
    });
    expect(shortfall(sums({ charged: micro(5_000_000n), staleBase: micro(4_000_000n) }), fresh, micro(2_500_000n))).toBeUndefined();
  });
});

describe('prepaid vouchers', () => {
  const row = { signedMax: baseUnits(5n), receipted: micro(4_000_000n), lastCumulative: micro(0n), deposit: baseUnits(100n) };
  const limits = { maxPrepaid: baseUnits(10n), headroom: baseUnits(4n) };

  test('a need that is covered signs the same amount again, never less', () => {
    expect(quoteVoucher(row, micro(1_000_000n), limits)).toEqual({ kind: 'sign', amount: 5n });
  });

  test('headroom is added, but never beyond the prepaid limit or the deposit', () => {
    expect(quoteVoucher(row, micro(2_000_000n), limits)).toEqual({ kind: 'sign', amount: 10n });
    expect(quoteVoucher(row, micro(9_000_000n), limits)).toEqual({ kind: 'sign', amount: 14n });
    expect(quoteVoucher({ ...row, deposit: baseUnits(7n) }, micro(2_000_000n), limits)).toEqual({ kind: 'sign', amount: 7n });
  });

  test('beyond the limit nothing is signed; bills that never came use the limit up', () => {
    expect(quoteVoucher(row, micro(10_000_001n), limits)).toMatchObject({ kind: 'prepaid-limit', required: 15n, limit: 14n });
    expect(quoteVoucher({ ...row, lastCumulative: micro(13_000_000n) }, micro(1_000_001n), limits)).toMatchObject({
      kind: 'prepaid-limit',
    });
  });

  test('a short deposit is told, and a top-up is due when less than half a portion is unsigned', () => {
    expect(quoteVoucher({ ...row, deposit: baseUnits(5n) }, micro(2_000_000n), limits)).toEqual({ kind: 'deposit-short', required: 6n });
    expect(needsTopUp({ signedMax: baseUnits(5n), plannedDeposit: baseUnits(10n) }, baseUnits(10n))).toBe(false);
    expect(needsTopUp({ signedMax: baseUnits(6n), plannedDeposit: baseUnits(10n) }, baseUnits(10n))).toBe(true);
  });
});

describe('voucher', () => {
  const descriptor = descriptorOf(consumer, gatewayPayout);
  const voucher = voucherOf(consumer, descriptor, 5n);
  const body = { channelId: voucher.channelId, maxClaimableAmount: 5n };

  test("the channel's signer only, for exactly this amount and channel", () => {
    expect(checks.checkVoucher(descriptor, body, voucher.signature)).toBeUndefined();
    expect(checks.checkVoucher(descriptor, { ...body, maxClaimableAmount: 6n }, voucher.signature)?.reason).toBe('voucher_bad_signature');
    expect(checks.checkVoucher(descriptor, { ...body, channelId: hex32(9) }, voucher.signature)?.reason).toBe('voucher_bad_signature');
    expect(checks.checkVoucher(descriptor, body, payer.sign(digests.voucher(body)))?.message).toContain(payer.address);
  });

  test('another chain is named, another contract is a wrong signature', () => {
    const elsewhere = voucherChecks(keccak256, recover, 1n, contracts.paymentChannels);
    const refusal = checks.checkVoucher(descriptor, body, consumer.sign(elsewhere.voucherDigest(body)));
    expect(refusal?.reason).toBe('voucher_wrong_chain');
    expect(refusal?.message).toContain(`chain 1, this is chain ${CHAIN_ID}`);
    const other = voucherChecks(keccak256, recover, BigInt(CHAIN_ID), hex20(1));
    expect(checks.checkVoucher(descriptor, body, consumer.sign(other.voucherDigest(body)))?.reason).toBe('voucher_bad_signature');
  });

  test('a signature with a high s is refused: the contract would refuse it', () => {
    const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const r = voucher.signature.slice(2, 66);
    const ys = BigInt(`0x${voucher.signature.slice(66)}`);
    const parity = ys >> 255n;
    const high = n - (ys & ((1n << 255n) - 1n));
    const malleated = `0x${r}${((high & ((1n << 255n) - 1n)) | ((1n - parity) << 255n)).toString(16).padStart(64, '0')}` as const;
    expect(checks.checkVoucher(descriptor, body, malleated)).toBeDefined();
  });

  test('terms: payee, token and withdraw delay are named', () => {
    const terms = { payee: gatewayPayout, token: contracts.paymentToken, minWithdrawDelay: 86_400 };
    expect(checkDescriptor(descriptor, terms)).toBeUndefined();
    expect(checkDescriptor(descriptor, { ...terms, payee: hex20(1) })?.param).toBe('descriptor.payee');
    expect(checkDescriptor(descriptor, { ...terms, token: hex20(1) })?.param).toBe('descriptor.token');
    expect(checkDescriptor({ ...descriptor, withdrawDelay: 3600 }, terms)).toMatchObject({ reason: 'withdraw_delay_too_short' });
  });
});

describe('receipt', () => {
  const channelId = idOf(descriptorOf(payer, hex20(0xb2)));
  const good = envelopeOf(hex32(7), channelId, 30n, 50n);
  const expected = { requestId: hex32(7), price: micro(30n), beneficiary: payer.address, owner: owner.address };
  const check = (envelope: typeof good, over: object = {}) =>
    receipts.checkBill(envelope, digests.receipt(envelope.receipt), { ...expected, ...over });

  test('a fitting one passes; each field that does not fit is named', () => {
    expect(check(good)).toBeUndefined();
    const wrong = {
      requestId: { requestId: hex32(8) },
      price: { price: 31n },
      beneficiary: { beneficiary: hex20(1) },
      cumulative: { cumulative: 29n },
      versionId: { versionId: hex32(9) },
      issuedAt: { issuedAt: 4_000_000_001n },
      paramsHash: { paramsHash: hex32(9) },
    };
    for (const [field, over] of Object.entries(wrong)) {
      expect(check(envelopeOf(hex32(7), channelId, 30n, 50n, over))?.param).toBe(`envelope.receipt.${field}`);
    }
  });

  test('a changed receipt, a foreign signer and a grant of somebody else are unfit', () => {
    expect(check({ ...good, receipt: { ...good.receipt, outputUnits: 6n } })?.param).toBe('envelope.signature');
    expect(check({ ...good, signature: owner.sign(digests.receipt(good.receipt)) })?.reason).toBe('receipt_unfit');
    expect(check(good, { owner: hex20(1) })?.message).toContain("model's owner");
    expect(digestOf(good)).toMatch(/^0x[0-9a-f]{64}$/);
  });
});

describe('finality of deposits', () => {
  const descriptor = descriptorOf(consumer, gatewayPayout);
  const heads = (latest: number, safe: number) => ({ latest, safe });

  test('an opening counts once the safe head has reached it', () => {
    const seen = observeDeposit(undefined, channelState(descriptor, { openedAtBlock: 5 }), heads(5, 4));
    expect(seen.final).toBe(0n);
    expect(settleDeposit(seen, heads(6, 5)).final).toBe(1_000n);
  });

  test('a top-up counts once the safe head has reached the block at which it was seen; a lower deposit at once', () => {
    const first = observeDeposit(undefined, channelState(descriptor), heads(5, 4));
    expect(first.final).toBe(1_000n);
    const raised = observeDeposit(first, channelState(descriptor, { deposit: 1_500n }), heads(9, 8));
    expect(raised.final).toBe(1_000n);
    expect(settleDeposit(raised, heads(10, 9)).final).toBe(1_500n);
    expect(observeDeposit(raised, channelState(descriptor, { deposit: 400n }), heads(9, 8))).toEqual({ final: 400n, coming: [] });
    expect(observeDeposit(raised, undefined, heads(9, 8)).final).toBe(0n);
  });
});
