import { digester, RECEIPT, SIGNER_GRANT } from '@cupel/protocol/eip712';
import { paramsHashOf, saltedHash } from '@cupel/protocol/ids';
import { baseUnits, micro } from '@cupel/protocol/money';
import { OUTCOME } from '@cupel/protocol/wire/receipt';
import type { ReceiptEnvelope } from '@cupel/protocol/wire/receipt';
import { keccak256 } from '@cupel/signing/keccak';
import { recover, signerFromKey } from '@cupel/signing/secp256k1';
import { fakeClock } from '@cupel/testing/clock';
import { describe, expect, test } from 'vitest';

import type { Candidate } from '../../src/choose/candidates.ts';
import type { Job } from '../../src/gateway/job.ts';
import type { OutgoingHold } from '../../src/gateway/outgoing.ts';
import { verdictOn } from '../../src/gateway/provider.ts';
import type { Delivered } from '../../src/gateway/provider.ts';
import { grantOwners } from '../../src/meter/grants.ts';
import { FakeReply } from './fakes.ts';

const hash = (byte: string): `0x${string}` => `0x${byte.repeat(32)}`;
const owner = signerFromKey(hash('01'));
const edge = signerFromKey(hash('02'));
const address = `0x${'0c'.repeat(20)}` as const;
const domain = { name: 'ModelRegistry', chainId: 1n, verifyingContract: address } as const;
const receiptDigest = digester(keccak256, RECEIPT, domain);
const grantDigest = digester(keccak256, SIGNER_GRANT, domain);
const clock = fakeClock();
const now = BigInt(clock.nowMs() / 1000);

const ids = { requestId: hash('a2'), salt: hash('a6'), inputHash: hash('a4') };
const prices = { inputPerMillion: baseUnits(1n), outputPerMillion: baseUnits(1n), perRequest: baseUnits(0n) };
const candidate: Candidate = {
  version: 1,
  modelId: hash('a0'),
  owner: owner.address,
  slug: 'a/b',
  payout: address,
  versionId: hash('a1'),
  versionNumber: 1,
  manifestSha256: 'd'.repeat(64),
  verificationRoot: hash('00'),
  mode: 'Replay',
  arbiter: address,
  prices,
  endpoint: 'http://edge.example',
  specializations: [],
  status: 'active',
  faults: 0,
  registeredAtBlock: 1,
};
const params = { seed: 5, stream: true };
const job: Job = {
  kind: 'chat',
  publicName: 'm',
  tenant: { id: 't', consumerId: 'c', channelId: hash('b0') },
  reply: new FakeReply(),
  stream: true,
  path: '/v1/chat/completions',
  body: new Uint8Array(),
  bound: { inputUnits: 100n, outputUnits: 20_000n },
  params: { stream: true },
  hold: { leaseId: 'l', amount: micro(1n), settle: () => undefined, cancel: () => undefined },
  input: new Uint8Array(),
  inputHash: () => ids.inputHash,
  output: () => undefined,
};
const descriptor = {
  payer: address,
  payee: address,
  token: address,
  signerKind: 0 as const,
  signer: address,
  withdrawDelay: 1,
  salt: hash('00'),
};
const hold: OutgoingHold = {
  value: {
    channelId: hash('a3'),
    descriptor,
    session: { key: hash('00'), keyHash: hash('00'), maxUnpaid: 0n, notAfter: now, signature: `0x${'00'.repeat(64)}` as const },
    voucher: { maxClaimableAmount: baseUnits(1n), signature: `0x${'00'.repeat(64)}` as const },
    receipted: micro(0n),
  },
  need: micro(1n),
  receipted: () => undefined,
  unknown: () => undefined,
  release: () => undefined,
};

const TEXT = Buffer.from('data: three chunks\n\n');
const receiptOf = (outcome: bigint, outputUnits: bigint, output: Uint8Array): ReceiptEnvelope => {
  const receipt = {
    versionId: candidate.versionId,
    requestId: ids.requestId,
    channelId: hash('a3'),
    inputHash: ids.inputHash,
    outputHash: saltedHash(keccak256, ids.salt, output),
    paramsHash: paramsHashOf(keccak256, params),
    inputUnits: 1n,
    outputUnits,
    price: 1n + outputUnits,
    cumulative: 100_000n,
    beneficiary: address,
    issuedAt: now,
    outcome,
  };
  const grant = { versionId: candidate.versionId, signer: edge.address, notAfter: now + 1000n };
  const signed = { ...grant, signature: owner.sign(grantDigest(grant)) };
  return { version: 1, receipt, signature: edge.sign(receiptDigest(receipt)), grant: signed, params };
};
const why = (envelope: ReceiptEnvelope, cut: Delivered['cut']): string => {
  const receiptCheck = { keccak: keccak256, recover, receiptDigest, grantOwner: grantOwners(grantDigest, recover) };
  const market = { registry: () => [], stake: () => undefined, reputation: () => undefined, head: () => undefined };
  const delivered = { hash: saltedHash(keccak256, ids.salt, TEXT), ...(cut && { cut }) };
  const verdict = verdictOn({ receiptCheck, market, clock }, envelope, { job, candidate, hold, ids, delivered });
  return verdict.fits ? 'fits' : verdict.why;
};
const more = Buffer.concat([TEXT, Buffer.from('data: and more\n\n')]);
const US = { by: 'us', contentChunks: 3 } as const;
const ELSEWHERE = { by: 'elsewhere', contentChunks: 3 } as const;

describe('the receipt of a cut stream', () => {
  test('our own client left: the edge may have sent what buffers on the way can hold, and hashed it', () => {
    expect(why(receiptOf(OUTCOME.clientLeft, 1027n, more), US)).toBe('fits');
    expect(why(receiptOf(OUTCOME.clientLeft, 1028n, more), US)).toBe('outputUnits exceed what was delivered');
  });

  test('the connection was cut elsewhere: nothing beyond what came through is owed', () => {
    expect(why(receiptOf(OUTCOME.clientLeft, 3n, more), ELSEWHERE)).toBe('fits');
    expect(why(receiptOf(OUTCOME.clientLeft, 4n, more), ELSEWHERE)).toBe('outputUnits exceed what was delivered');
  });

  test('an edge whose engine failed has sent all that it hashed', () => {
    for (const cut of [US, ELSEWHERE, undefined]) {
      expect(why(receiptOf(OUTCOME.engineFailed, 3n, TEXT), cut)).toBe('fits');
      expect(why(receiptOf(OUTCOME.engineFailed, 3n, more), cut)).toContain('outputHash');
      expect(why(receiptOf(OUTCOME.complete, 3n, more), cut)).toContain('outputHash');
    }
  });

  test('a stream that ended in order is whole, whatever its receipt says', () => {
    expect(why(receiptOf(OUTCOME.clientLeft, 3n, more), undefined)).toContain('outputHash');
  });
});
