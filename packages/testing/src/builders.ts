import { RECEIPT, SIGNER_GRANT, VOUCHER, digester } from '@cupel/protocol/eip712';
import type { Domain, DomainName, Receipt, SignerGrant } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import { modelIdOf, paramsHashOf, versionIdOf } from '@cupel/protocol/ids';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import { baseUnits } from '@cupel/protocol/money';
import type { Engine } from '@cupel/protocol/wire/bus';
import type { Contracts } from '@cupel/protocol/wire/config';
import type { ChannelState, HeadState, RegistryEntry, StakeState } from '@cupel/protocol/wire/projections';
import type { AnswerParams, ReceiptEnvelope } from '@cupel/protocol/wire/receipt';
import { keccak256 } from '@cupel/signing/keccak';
import { signerFromKey } from '@cupel/signing/secp256k1';
import type { Signer } from '@cupel/signing/secp256k1';

/** `n` as 32 bytes, and as 20. */
export const word = (n: number | bigint): Hex => `0x${n.toString(16).padStart(64, '0')}`;
export const address = (n: number | bigint): Hex => `0x${n.toString(16).padStart(40, '0')}`;

/** The key n = 1, 2, …: worth nothing. */
export const testSigner = (n: number): Signer => signerFromKey(word(n));

export const OWNER = testSigner(1);
export const RECEIPT_SIGNER = testSigner(2);
export const PAYER = testSigner(3);
export const CHANNEL_SIGNER = testSigner(4);

export const TEST_CONTRACTS: Contracts = {
  stakeToken: address(0xc1),
  paymentToken: address(0xc2),
  stakeVault: address(0xc3),
  modelRegistry: address(0xc4),
  paymentChannels: address(0xc5),
  claimManager: address(0xc6),
  disputeManager: address(0xc7),
};
export const TEST_CHAIN_ID = 31337;

const VERIFIERS = { PaymentChannels: 'paymentChannels', ModelRegistry: 'modelRegistry', DisputeManager: 'disputeManager' } as const;

/** The EIP-712 domain of one of the test contracts. */
export const testDomain = (name: DomainName, contracts: Contracts = TEST_CONTRACTS, chainId = TEST_CHAIN_ID): Domain => ({
  name,
  chainId: BigInt(chainId),
  verifyingContract: contracts[VERIFIERS[name]],
});

export const SLUG = 'honest/digits';
export const MODEL_ID = modelIdOf(keccak256, OWNER.address, SLUG);
export const VERSION_ID = versionIdOf(keccak256, MODEL_ID, 1);

export const buildDescriptor = (
  more: Partial<ChannelDescriptor & { signerKind: 0 }> = {},
): ChannelDescriptor & { readonly signerKind: 0 } => ({
  payer: PAYER.address,
  payee: OWNER.address,
  token: TEST_CONTRACTS.paymentToken,
  signerKind: 0,
  signer: CHANNEL_SIGNER.address,
  withdrawDelay: 86_400,
  salt: word(7),
  ...more,
});

/** 1.5 test dollars per thousand requests; issued 2026-01-01T00:00:00Z. */
export const buildReceipt = (more: Partial<Receipt> = {}): Receipt => ({
  versionId: VERSION_ID,
  requestId: word(0x1234),
  channelId: word(0xc4a),
  inputHash: word(0x11),
  outputHash: word(0x22),
  paramsHash: paramsHashOf(keccak256, { seed: 1 }),
  inputUnits: 196n,
  outputUnits: 10n,
  price: 1_500_000_000n,
  cumulative: 1_500_000_000n,
  beneficiary: PAYER.address,
  issuedAt: 1_767_225_600n,
  outcome: 0n,
  ...more,
});

export interface EnvelopeOptions {
  readonly receipt?: Partial<Receipt>;
  readonly params?: AnswerParams;
  readonly owner?: Signer;
  readonly receiptSigner?: Signer;
  readonly grant?: Partial<SignerGrant>;
  readonly domain?: Domain;
}

/** A receipt with both signatures in place, as an edge sends it; its params hash follows from `params`. */
export const buildEnvelope = (more: EnvelopeOptions = {}): ReceiptEnvelope => {
  const { params = { seed: 1 }, owner = OWNER, receiptSigner = RECEIPT_SIGNER, domain = testDomain('ModelRegistry') } = more;
  const receipt = buildReceipt({ paramsHash: paramsHashOf(keccak256, params), ...more.receipt });
  const grant: SignerGrant = { versionId: receipt.versionId, signer: receiptSigner.address, notAfter: 4_000_000_000n, ...more.grant };
  return {
    version: 1,
    receipt,
    signature: receiptSigner.sign(digester(keccak256, RECEIPT, domain)(receipt)),
    grant: { ...grant, signature: owner.sign(digester(keccak256, SIGNER_GRANT, domain)(grant)) },
    params,
  };
};

export const buildVoucher = (
  channelId: Hex,
  maxClaimableAmount: bigint,
  signer = CHANNEL_SIGNER,
  domain = testDomain('PaymentChannels'),
) => ({
  channelId,
  maxClaimableAmount: baseUnits(maxClaimableAmount),
  signature: signer.sign(digester(keccak256, VOUCHER, domain)({ channelId, maxClaimableAmount })),
});

export const buildRegistryEntry = (more: Partial<RegistryEntry> = {}): RegistryEntry => ({
  version: 1,
  modelId: MODEL_ID,
  owner: OWNER.address,
  slug: SLUG,
  operator: OWNER.address,
  payout: OWNER.address,
  versionId: VERSION_ID,
  versionNumber: 1,
  manifestSha256: 'aa'.repeat(32),
  verificationRoot: word(0xbb),
  mode: 'IntegerExecution',
  arbiter: address(0xa1),
  prices: { inputPerMillion: baseUnits(0n), outputPerMillion: baseUnits(0n), perRequest: baseUnits(1500n) },
  endpoint: 'https://edge.honest.test',
  specializations: [],
  status: 'active',
  faults: 0,
  registeredAtBlock: 10,
  ...more,
});

export const buildChannelState = (channelId: Hex, more: Partial<ChannelState> = {}): ChannelState => ({
  version: 1,
  channelId,
  descriptor: buildDescriptor(),
  deposit: 10_000_000n,
  settled: 0n,
  closeAt: 0,
  status: 'open',
  openedAtBlock: 10,
  ...more,
});

export const buildStakeState = (more: Partial<StakeState> = {}): StakeState => ({
  version: 1,
  modelId: MODEL_ID,
  staked: 1000n,
  locked: 0n,
  unbonding: 0n,
  unbondEnd: 0,
  bond: 1000n,
  slashed: 0n,
  ...more,
});

export const buildHead = (more: Partial<HeadState> = {}): HeadState => ({
  version: 1,
  number: 100,
  hash: word(0xb10c),
  timestamp: 1_767_225_600,
  seenAtMs: 1_767_225_600_000,
  ...more,
});

export const buildEngine = (more: Partial<Engine> = {}): Engine => ({
  modelId: MODEL_ID,
  versionId: VERSION_ID,
  publicName: 'digits',
  kind: 'integer',
  url: 'http://digits.honest.svc:8000',
  mode: 'IntegerExecution',
  prices: buildRegistryEntry().prices,
  manifestSha256: 'aa'.repeat(32),
  verificationRoot: word(0xbb),
  draining: false,
  ...more,
});
