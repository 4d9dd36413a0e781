import { digester, RECEIPT, SIGNER_GRANT } from '@cupel/protocol/eip712';
import { paramsHashOf } from '@cupel/protocol/ids';
import { baseUnits } from '@cupel/protocol/money';
import type { ReceiptEnvelope } from '@cupel/protocol/wire/receipt';
import { keccak256 } from '@cupel/signing/keccak';
import { recover, signerFromKey } from '@cupel/signing/secp256k1';
import { describe, expect, test } from 'vitest';

import { grantOwners } from '../../src/meter/grants.ts';
import { checkReceipt } from '../../src/meter/receipt-check.ts';
import type { ExpectedReceipt } from '../../src/meter/receipt-check.ts';
import { decodeEnvelope, encodeEnvelope } from '../../src/meter/receipt-header.ts';
import { billedUnits } from '../../src/meter/usage.ts';

const hash = (byte: string): `0x${string}` => `0x${byte.repeat(32)}`;
const owner = signerFromKey(hash('01'));
const edge = signerFromKey(hash('02'));
const domain = { name: 'ModelRegistry', chainId: 1n, verifyingContract: `0x${'0c'.repeat(20)}` } as const;
const receiptDigest = digester(keccak256, RECEIPT, domain);
const grantDigest = digester(keccak256, SIGNER_GRANT, domain);
const deps = { keccak: keccak256, receiptDigest, grantOwner: grantOwners(grantDigest, recover), recover };

const params = { seed: 5, temperature: 0, max_tokens: 50, stream: true };
const receipt: ReceiptEnvelope['receipt'] = {
  versionId: hash('a1'),
  requestId: hash('a2'),
  channelId: hash('a3'),
  inputHash: hash('a4'),
  outputHash: hash('a5'),
  paramsHash: paramsHashOf(keccak256, params),
  inputUnits: 10n,
  outputUnits: 20n,
  price: 10n * 2n + 20n * 4n,
  cumulative: 500n,
  beneficiary: `0x${'b1'.repeat(20)}`,
  issuedAt: 1000n,
  outcome: 0n,
};
const grantOf = (change: object = {}, signer = owner): ReceiptEnvelope['grant'] => {
  const grant = { versionId: receipt.versionId, signer: edge.address, notAfter: 2000n, ...change };
  return { ...grant, signature: signer.sign(grantDigest(grant)) };
};
const signed = (change: Partial<typeof receipt> = {}, by = edge, grant = grantOf()): ReceiptEnvelope => {
  const changed = { ...receipt, ...change };
  return { version: 1, receipt: changed, signature: by.sign(receiptDigest(changed)), grant, params };
};
const expected: ExpectedReceipt = {
  requestId: receipt.requestId,
  versionId: receipt.versionId,
  channelId: receipt.channelId,
  beneficiary: receipt.beneficiary,
  owner: owner.address,
  inputHash: receipt.inputHash,
  outputHash: receipt.outputHash,
  prices: { inputPerMillion: baseUnits(2n), outputPerMillion: baseUnits(4n), perRequest: baseUnits(0n) },
  bound: { inputUnits: 100n, outputUnits: 50n },
  maxClaimable: baseUnits(1n),
  params: { temperature: 0, stream: true },
  seedRequired: true,
  nowSeconds: 1060n,
};
const why = (envelope: ReceiptEnvelope, change: Partial<ExpectedReceipt> = {}): string => {
  const verdict = checkReceipt(deps, envelope, { ...expected, ...change });
  return verdict.fits ? 'fits' : verdict.why;
};

describe('a receipt', () => {
  test('that fits has the digest that the chain will see', () => {
    expect(checkReceipt(deps, signed(), expected)).toEqual({
      fits: true,
      digest: `0x${Buffer.from(receiptDigest(receipt)).toString('hex')}`,
    });
  });

  test.each<[string, Partial<typeof receipt>]>([
    ['requestId', { requestId: hash('ff') }],
    ['versionId', { versionId: hash('ff') }],
    ['channelId', { channelId: hash('ff') }],
    ['beneficiary', { beneficiary: `0x${'ff'.repeat(20)}` }],
    ['inputHash', { inputHash: hash('ff') }],
    ['outputHash', { outputHash: hash('ff') }],
    ['paramsHash', { paramsHash: hash('ff') }],
    ['outcome', { outcome: 3n }],
    ['inputUnits', { inputUnits: 101n }],
    ['outputUnits', { outputUnits: 51n }],
    ['price', { price: receipt.price + 1n }],
    ['cumulative is less', { cumulative: 1n }],
    ['cumulative exceeds', { cumulative: 1_000_001n }],
    ['issuedAt', { issuedAt: 939n }],
    ['issuedAt', { issuedAt: 1181n }],
  ])('with a wrong %s does not fit, although it is signed', (name, change) => expect(why(signed(change))).toContain(name));

  test('a lower price than the registry allows is fine', () => expect(why(signed({ price: 1n }))).toBe('fits'));

  test('a signature by another key, a grant by another owner, an ended grant, a grant for another version', () => {
    expect(why(signed({}, owner))).toContain("granted signer's");
    expect(why(signed({}, edge, grantOf({}, edge)))).toContain("not the owner's");
    expect(why(signed({}, edge, grantOf({ notAfter: 999n })))).toContain('has ended');
    expect(why(signed({}, edge, grantOf({ versionId: hash('ff') })))).toContain('another version');
  });

  test('parameters must be those that were asked for, and name the seed', () => {
    expect(why(signed(), { params: { seed: 6 } })).toBe('parameter seed is not what was asked for');
    expect(why(signed(), { params: { top_p: 0.5 } })).toBe('parameter top_p is not what was asked for');
    const seedless = { stream: true };
    const envelope = { ...signed({ paramsHash: paramsHashOf(keccak256, seedless) }), params: seedless };
    expect(why(envelope, { params: {} })).toBe('parameter seed is not what was asked for');
    expect(why(envelope, { params: {}, seedRequired: false })).toBe('fits');
  });

  test('of a cut answer fits without the output hash', () => {
    expect(why(signed({ outputHash: hash('ff'), outcome: 1n }), { outputHash: undefined })).toBe('fits');
  });

  test('survives its header; anything else is no envelope', () => {
    expect(decodeEnvelope(encodeEnvelope(signed()))).toEqual(signed());
    expect([undefined, '', 'AAAA', '%%%', 'A'.repeat(9000)].map(decodeEnvelope)).toEqual(Array.from({ length: 5 }, () => undefined));
  });
});

describe('billed units', () => {
  const bound = { inputUnits: 100n, outputUnits: 50n };
  test.each([
    ["the engine's count", { promptTokens: 7, completionTokens: 9 }, 3, 40, [7n, 9n]],
    ['chunks and a low guess when it was cut', undefined, 3, 43, [10n, 3n]],
    ['never more than the hold', { promptTokens: 700, completionTokens: 900 }, 3, 40, [100n, 50n]],
  ])('%s', (_what, usage, contentChunks, bodyBytes, [inputUnits, outputUnits]) => {
    expect(billedUnits({ usage, contentChunks, bodyBytes, bound })).toEqual({ inputUnits, outputUnits });
  });
});
