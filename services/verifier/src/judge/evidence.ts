import { RECEIPT, SIGNER_GRANT, digester } from '@cupel/protocol/eip712';
import type { Keccak256 } from '@cupel/protocol/eip712';
import { bytesToHex } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import { channelIdOf, paramsHashOf } from '@cupel/protocol/ids';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import type { Mode } from '@cupel/protocol/wire/projections';
import type { ReceiptEnvelope } from '@cupel/protocol/wire/receipt';

export type Recover = (digest: Uint8Array, signature: Hex) => Hex | undefined;

/** What the registry says of the version that a receipt names; immutable but for the owner's name. */
export interface VersionFacts {
  readonly modelId: Hex;
  readonly owner: Hex;
  /** sha256 without 0x. */
  readonly manifestSha256: string;
  readonly verificationRoot: Hex;
  readonly mode: Mode;
  /** The zero address where nobody can rule. */
  readonly arbiter: Hex;
}

export interface Evidence {
  readonly envelope: ReceiptEnvelope;
  readonly receiptDigest: Hex;
  readonly modelId: Hex;
  readonly descriptor: ChannelDescriptor;
}

/** Why this receipt is no evidence against anybody; undefined: a court would take it. */
export type EvidenceCheck = (evidence: Evidence, version: VersionFacts) => string | undefined;

/** Repeats every check that DisputeManager makes of signatures and ids, so that nobody is accused on paper that does not hold. */
export const evidenceChecks = (keccak: Keccak256, recover: Recover, chainId: bigint, modelRegistry: Hex) => {
  const domain = { name: 'ModelRegistry', chainId, verifyingContract: modelRegistry } as const;
  const receiptDigest = digester(keccak, RECEIPT, domain);
  const grantDigest = digester(keccak, SIGNER_GRANT, domain);
  const digestOf = (envelope: ReceiptEnvelope): Hex => bytesToHex(receiptDigest(envelope.receipt));

  const check: EvidenceCheck = ({ envelope, receiptDigest: digest, modelId, descriptor }, version) => {
    const { receipt, grant, signature, params } = envelope;
    if (digestOf(envelope) !== digest) return 'the receipt does not hash to its digest';
    if (modelId !== version.modelId) return 'the version belongs to another model';
    if (grant.versionId !== receipt.versionId) return 'the grant is for another version';
    if (receipt.issuedAt > grant.notAfter) return 'the grant had ended';
    if (recover(grantDigest(grant), grant.signature) !== version.owner) return "the grant is not the owner's";
    if (recover(receiptDigest(receipt), signature) !== grant.signer) return 'the receipt is not signed by the granted key';
    if (channelIdOf(keccak, descriptor) !== receipt.channelId) return 'the channel descriptor is of another channel';
    if (paramsHashOf(keccak, params) !== receipt.paramsHash) return 'the parameters do not fit their hash';
    return undefined;
  };
  return { digestOf, check };
};
