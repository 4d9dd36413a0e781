import { z } from 'zod';

import { address, bytes32, decimal, signature, version1 } from './scalars.ts';

/** Outcome of an answer: 0 complete, 1 the client left, 2 the engine failed in mid-stream. */
export const OUTCOME = { complete: 0n, clientLeft: 1n, engineFailed: 2n } as const;

/** EIP-712 `Receipt`; price and cumulative in micro, issuedAt in unix seconds. */
export const receipt = z.object({
  versionId: bytes32,
  requestId: bytes32,
  channelId: bytes32,
  inputHash: bytes32,
  outputHash: bytes32,
  paramsHash: bytes32,
  inputUnits: decimal,
  outputUnits: decimal,
  price: decimal,
  cumulative: decimal,
  beneficiary: address,
  issuedAt: decimal,
  outcome: decimal,
});

export const signerGrant = z.object({ versionId: bytes32, signer: address, notAfter: decimal });

export const signedGrant = signerGrant.extend({ signature });

/** What shaped the answer besides the input: hashed into the receipt's paramsHash as canonical JSON. */
export const answerParams = z
  .object({
    seed: z.number().int().min(0).max(0xffff_ffff).optional(),
    temperature: z.number().optional(),
    top_p: z.number().optional(),
    max_tokens: z.number().int().optional(),
    quantization: z.string().max(40).optional(),
    stream: z.boolean().optional(),
  })
  .strict();

/** A signed receipt with all that a stranger needs to check it. */
export const receiptEnvelope = z.object({
  version: version1,
  receipt,
  signature,
  grant: signedGrant,
  params: answerParams,
});

export const channelDescriptor = z.object({
  payer: address,
  payee: address,
  token: address,
  signerKind: z.literal(0),
  signer: address,
  withdrawDelay: z.number().int().min(1).max(0xffff_ffff),
  salt: bytes32,
});

export const sessionOpen = z.object({
  descriptor: channelDescriptor,
  session: z.object({ channelId: bytes32, keyHash: bytes32, maxUnpaid: decimal, notAfter: decimal }),
  signature,
  /** 32-byte MAC key whose keccak256 is session.keyHash. */
  key: bytes32,
});

export type ReceiptEnvelope = z.output<typeof receiptEnvelope>;
export type AnswerParams = z.output<typeof answerParams>;
export type SignedGrant = z.output<typeof signedGrant>;
export type SessionOpen = z.output<typeof sessionOpen>;
