import { z } from 'zod';

import { address, baseAmount, bytes32, decimal, version1 } from './scalars.ts';
import { channelDescriptor } from './receipt.ts';

/** What the watcher projects from the chain into its party's key-value buckets. Keys: ids without 0x. */

export const MODES = ['None', 'Replay', 'IntegerExecution', 'ZeroKnowledge', 'Attested'] as const;
export const mode = z.enum(MODES);
export type Mode = (typeof MODES)[number];

export const prices = z.object({ inputPerMillion: baseAmount, outputPerMillion: baseAmount, perRequest: baseAmount });

/** Bucket `registry`, key modelId. */
export const registryEntry = z.object({
  version: version1,
  modelId: bytes32,
  owner: address,
  slug: z.string(),
  operator: address.optional(),
  payout: address.optional(),
  versionId: bytes32,
  versionNumber: z.number().int().min(1),
  manifestSha256: z.string(),
  verificationRoot: bytes32,
  mode,
  arbiter: address,
  prices,
  endpoint: z.string(),
  specializations: z.array(z.string()),
  status: z.enum(['active', 'retired', 'suspended']),
  faults: z.number().int().min(0),
  registeredAtBlock: z.number().int().min(0),
});

/** Bucket `channels`, key channelId. deposit and settled in base units. */
export const channelState = z.object({
  version: version1,
  channelId: bytes32,
  descriptor: channelDescriptor,
  deposit: decimal,
  settled: decimal,
  /** Unix seconds; 0 while open. */
  closeAt: z.number().int().min(0),
  status: z.enum(['open', 'closing', 'closed']),
  openedAtBlock: z.number().int().min(0),
});

/** Bucket `stakes`, key modelId. */
export const stakeState = z.object({
  version: version1,
  modelId: bytes32,
  staked: decimal,
  locked: decimal,
  unbonding: decimal,
  unbondEnd: z.number().int().min(0),
  bond: decimal,
  slashed: decimal,
});

/** Bucket `claims`, key claimId. */
export const claimState = z.object({
  version: version1,
  claimId: bytes32,
  versionId: bytes32,
  root: bytes32,
  count: z.number().int().min(1),
  maxPrice: decimal,
  locked: decimal,
  finalizableAt: z.number().int(),
  status: z.enum(['open', 'final']),
  postedTx: bytes32,
});

/** Bucket `disputes`, key receipt digest. */
export const disputeState = z.object({
  version: version1,
  receiptDigest: bytes32,
  modelId: bytes32,
  challenger: address,
  beneficiary: address.optional(),
  status: z.enum(['open', 'upheld']),
  slashed: decimal,
  refund: decimal,
  tx: bytes32,
});

/** Bucket `head`, keys latest, safe, finalized. */
export const headState = z.object({
  version: version1,
  number: z.number().int().min(0),
  hash: bytes32,
  timestamp: z.number().int(),
  /** When the watcher last saw the chain answer, unix milliseconds. */
  seenAtMs: z.number(),
});

/** Bucket `reputation`, key modelId; written by the verifier. */
export const reputation = z.object({
  version: version1,
  modelId: bytes32,
  checked: z.number().int().min(0),
  passed: z.number().int().min(0),
  lies: z.number().int().min(0),
  suspect: z.number().int().min(0),
  /** 0 … 1: multiplies into the choice of a provider. */
  score: z.number().min(0).max(1),
  unarbitrated: z.boolean(),
});

export const KV_BUCKETS = ['registry', 'channels', 'stakes', 'claims', 'disputes', 'head', 'engines', 'reputation'] as const;
export type KvBucket = (typeof KV_BUCKETS)[number];

export type RegistryEntry = z.output<typeof registryEntry>;
export type ChannelState = z.output<typeof channelState>;
export type StakeState = z.output<typeof stakeState>;
export type ClaimState = z.output<typeof claimState>;
export type DisputeState = z.output<typeof disputeState>;
export type HeadState = z.output<typeof headState>;
export type Reputation = z.output<typeof reputation>;
