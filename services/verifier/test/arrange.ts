import { bytesToHex } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import { channelIdOf } from '@cupel/protocol/ids';
import type { ReceiptEvent } from '@cupel/protocol/wire/bus';
import type { Receipt } from '@cupel/protocol/eip712';
import { RECEIPT, digester } from '@cupel/protocol/eip712';
import { keccak256 } from '@cupel/signing/keccak';
import { MODEL_ID, OWNER, VERSION_ID, address, buildDescriptor, buildEnvelope, testDomain, word } from '@cupel/testing/builders';
import type { EnvelopeOptions } from '@cupel/testing/builders';

import type { VersionFacts } from '../src/judge/evidence.ts';

export const keccak = keccak256;

const receiptDigest = digester(keccak, RECEIPT, testDomain('ModelRegistry'));

/** The n-th receipt of the stream, held at `heldAtMs`. */
export const eventOf = (
  n: number,
  more: EnvelopeOptions & { readonly heldAtMs?: number; readonly units?: Partial<Receipt> } = {},
): ReceiptEvent => {
  const descriptor = buildDescriptor();
  const envelope = buildEnvelope({
    ...more,
    receipt: { requestId: word(n), channelId: channelIdOf(keccak, descriptor), ...more.receipt },
  });
  return {
    version: 1,
    envelope,
    receiptDigest: bytesToHex(receiptDigest(envelope.receipt)),
    modelId: MODEL_ID,
    publicName: 'digits',
    descriptor,
    heldAtMs: more.heldAtMs ?? 1_000 + n,
  };
};

export const versionFacts = (more: Partial<VersionFacts> = {}): VersionFacts => ({
  modelId: MODEL_ID,
  owner: OWNER.address,
  manifestSha256: 'aa'.repeat(32),
  verificationRoot: word(0xbb),
  mode: 'IntegerExecution',
  arbiter: address(0xa1),
  ...more,
});

export { VERSION_ID };

/** keccak of a number: a digest, seed or block hash that looks like one. */
export const hashOf = (n: number): Hex => bytesToHex(keccak(new TextEncoder().encode(String(n))));
