import { Signature, SigningKey, TypedDataEncoder, computeAddress, keccak256 as ethersKeccak } from 'ethers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { bytesToHex, hexToBytes } from '@cupel/protocol/hex';
import { RECEIPT, VOUCHER, digester } from '@cupel/protocol/eip712';

import { keccak256 } from '../src/keccak.ts';
import { recover, signerFromKey } from '../src/secp256k1.ts';

const KEY = `0x${'11'.repeat(32)}`;
const domain = { name: 'PaymentChannels', chainId: 31337n, verifyingContract: `0x${'ab'.repeat(20)}` } as const;

describe('signing agrees with ethers', () => {
  test('address, signature and recovery are equal for random digests', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (digest) => {
        const signer = signerFromKey(KEY);
        const theirs = new SigningKey(KEY).sign(digest);
        expect(signer.address).toBe(computeAddress(KEY).toLowerCase());
        expect(signer.sign(digest)).toBe(Signature.from(theirs).compactSerialized);
        expect(recover(digest, signer.sign(digest))).toBe(signer.address);
      }),
      { numRuns: 50 },
    );
  });

  test('keccak256 is equal for random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
        expect(bytesToHex(keccak256(bytes))).toBe(ethersKeccak(bytes));
      }),
    );
  });

  test('a voucher digest is what ethers computes', () => {
    const value = { channelId: `0x${'22'.repeat(32)}`, maxClaimableAmount: 123n } as const;
    const ours = bytesToHex(digester(keccak256, VOUCHER, domain)(value));
    const theirs = TypedDataEncoder.hash(
      { name: 'PaymentChannels', version: '1', chainId: 31337n, verifyingContract: domain.verifyingContract },
      {
        Voucher: [
          { name: 'channelId', type: 'bytes32' },
          { name: 'maxClaimableAmount', type: 'uint128' },
        ],
      },
      value,
    );
    expect(ours).toBe(theirs);
  });

  test('a receipt digest is what ethers computes', () => {
    const word = (n: number) => `0x${n.toString(16).padStart(2, '0').repeat(32)}` as const;
    const value = {
      versionId: word(1),
      requestId: word(2),
      channelId: word(3),
      inputHash: word(4),
      outputHash: word(5),
      paramsHash: word(6),
      inputUnits: 7n,
      outputUnits: 8n,
      price: 9n,
      cumulative: 10n,
      beneficiary: `0x${'cd'.repeat(20)}`,
      issuedAt: 11n,
      outcome: 2n,
    } as const;
    const types = { Receipt: Object.entries(RECEIPT.fields).map(([name, type]) => ({ name, type: type as string })) };
    const registry = { ...domain, name: 'ModelRegistry' } as const;
    expect(bytesToHex(digester(keccak256, RECEIPT, registry)(value))).toBe(
      TypedDataEncoder.hash(
        { name: 'ModelRegistry', version: '1', chainId: 31337n, verifyingContract: domain.verifyingContract },
        types,
        value,
      ),
    );
  });
});

describe('recover refuses', () => {
  const digest = keccak256(Uint8Array.of(1));
  const good = signerFromKey(KEY).sign(digest);

  test('a high s', () => {
    const bytes = hexToBytes(good);
    const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const s = BigInt(bytesToHex(bytes.subarray(32))) & ((1n << 255n) - 1n);
    const high = `${good.slice(0, 66)}${(n - s).toString(16).padStart(64, '0')}` as const;
    expect(recover(digest, high as `0x${string}`)).not.toBe(signerFromKey(KEY).address);
  });

  test('65 bytes, zero, and garbage', () => {
    expect(recover(digest, `${good}1b` as `0x${string}`)).toBeUndefined();
    expect(recover(digest, `0x${'00'.repeat(64)}`)).toBeUndefined();
    expect(recover(digest, '0xzz')).toBeUndefined();
  });

  test('a private key error does not repeat the key', () => {
    expect(() => signerFromKey('0x1234')).toThrow('a private key must be 0x and 64 hex digits');
  });
});
