import { CONSENT, digester, RECEIPT, SESSION, SIGNER_GRANT, VOUCHER } from '@cupel/protocol/eip712';
import { bytesToHex } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import { channelIdOf, paramsHashOf } from '@cupel/protocol/ids';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import { baseUnits, micro } from '@cupel/protocol/money';
import type { ChannelState, HeadState, RegistryEntry } from '@cupel/protocol/wire/projections';
import type { ReceiptEnvelope } from '@cupel/protocol/wire/receipt';
import { keccak256 } from '@cupel/signing/keccak';
import { recover, signerFromKey } from '@cupel/signing/secp256k1';
import type { Signer } from '@cupel/signing/secp256k1';

import { receiptChecks } from '../src/voucher/receipt.ts';
import { voucherChecks } from '../src/voucher/verify.ts';

/** People, contracts and objects of the payment tests. All keys are made here and worth nothing. */
export const keyOf = (n: number): Hex => `0x${n.toString(16).padStart(64, '0')}`;
export const hex32 = (n: number | bigint): Hex => `0x${n.toString(16).padStart(64, '0')}`;
export const hex20 = (n: number): Hex => `0x${n.toString(16).padStart(40, '0')}`;

export const CHAIN_ID = 31337;
export const contracts = {
  stakeToken: hex20(0xa1),
  paymentToken: hex20(0xa2),
  stakeVault: hex20(0xa3),
  modelRegistry: hex20(0xa4),
  paymentChannels: hex20(0xa5),
  claimManager: hex20(0xa6),
  disputeManager: hex20(0xa7),
} as const;

export const consumer = signerFromKey(keyOf(101));
export const payer = signerFromKey(keyOf(102));
export const owner = signerFromKey(keyOf(103));
export const receiptSigner = signerFromKey(keyOf(104));
export const gatewayPayout = hex20(0xb1);
export const providerPayout = hex20(0xb2);
export const modelId = hex32(0xc1);
export const versionId = hex32(0xc2);

export const checks = voucherChecks(keccak256, recover, BigInt(CHAIN_ID), contracts.paymentChannels);
export const receipts = receiptChecks(keccak256, recover, BigInt(CHAIN_ID), contracts);

const channelsDomain = { name: 'PaymentChannels', chainId: BigInt(CHAIN_ID), verifyingContract: contracts.paymentChannels } as const;
const registryDomain = { name: 'ModelRegistry', chainId: BigInt(CHAIN_ID), verifyingContract: contracts.modelRegistry } as const;
export const digests = {
  voucher: digester(keccak256, VOUCHER, channelsDomain),
  session: digester(keccak256, SESSION, channelsDomain),
  receipt: digester(keccak256, RECEIPT, registryDomain),
  grant: digester(keccak256, SIGNER_GRANT, registryDomain),
  consent: digester(keccak256, CONSENT, { name: 'DisputeManager', chainId: BigInt(CHAIN_ID), verifyingContract: contracts.disputeManager }),
};

export const descriptorOf = (from: Signer, payee: Hex, salt = 1): ChannelDescriptor & { signerKind: 0 } => ({
  payer: from.address,
  payee,
  token: contracts.paymentToken,
  signerKind: 0,
  signer: from.address,
  withdrawDelay: 86_400,
  salt: hex32(salt),
});

export const idOf = (descriptor: ChannelDescriptor): Hex => channelIdOf(keccak256, descriptor);

export const voucherOf = (from: Signer, descriptor: ChannelDescriptor, amount: bigint) => {
  const channelId = idOf(descriptor);
  const signature = from.sign(digests.voucher({ channelId, maxClaimableAmount: amount }));
  return { version: 1, channelId, maxClaimableAmount: baseUnits(amount), signature } as const;
};

export const grant = (notAfter = 4_000_000_000n) => {
  const body = { versionId, signer: receiptSigner.address, notAfter };
  return { ...body, signature: owner.sign(digests.grant(body)) };
};

/** A provider's receipt as its edge would sign it. */
export const envelopeOf = (requestId: Hex, channelId: Hex, price: bigint, cumulative: bigint, over: object = {}): ReceiptEnvelope => {
  const params = { seed: 1 };
  const receipt = {
    versionId,
    requestId,
    channelId,
    inputHash: hex32(1),
    outputHash: hex32(2),
    paramsHash: paramsHashOf(keccak256, params),
    inputUnits: 10n,
    outputUnits: 5n,
    price,
    cumulative,
    beneficiary: payer.address,
    issuedAt: 1_000n,
    outcome: 0n,
    ...over,
  };
  return { version: 1, receipt, signature: receiptSigner.sign(digests.receipt(receipt)), grant: grant(), params };
};

export const digestOf = (envelope: ReceiptEnvelope): Hex => bytesToHex(digests.receipt(envelope.receipt));

export const channelState = (descriptor: ChannelDescriptor & { signerKind: 0 }, over: Partial<ChannelState> = {}): ChannelState => ({
  version: 1,
  channelId: idOf(descriptor),
  descriptor,
  deposit: 1_000n,
  settled: 0n,
  closeAt: 0,
  status: 'open',
  openedAtBlock: 1,
  ...over,
});

export const head = (number: number, seenAtMs: number): HeadState => ({ version: 1, number, hash: hex32(number), timestamp: 1, seenAtMs });

export const registryEntry = (over: Partial<RegistryEntry> = {}): RegistryEntry => ({
  version: 1,
  modelId,
  owner: owner.address,
  slug: 'honest/digits',
  payout: providerPayout,
  versionId,
  versionNumber: 1,
  manifestSha256: '0'.repeat(64),
  verificationRoot: hex32(3),
  mode: 'IntegerExecution',
  arbiter: hex20(0xa8),
  prices: { inputPerMillion: baseUnits(0n), outputPerMillion: baseUnits(0n), perRequest: baseUnits(1n) },
  endpoint: 'http://edge.example',
  specializations: [],
  status: 'active',
  faults: 0,
  registeredAtBlock: 1,
  ...over,
});

export const base = baseUnits;
export const inMicro = micro;
