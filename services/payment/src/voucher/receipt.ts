import { CONSENT, digester, RECEIPT, SIGNER_GRANT } from '@cupel/protocol/eip712';
import type { Consent, Keccak256, Receipt, SignerGrant } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import { paramsHashOf } from '@cupel/protocol/ids';
import type { Micro } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import type { ReceiptEnvelope, SignedGrant } from '@cupel/protocol/wire/receipt';

import type { Recover } from './verify.ts';

/** What a bill must agree with before money moves for it. */
export interface BillExpectation {
  readonly requestId: Hex;
  readonly price: Micro;
  /** Our address: the one that the contract refunds. */
  readonly beneficiary: Hex;
  /** Owner of the model in the registry. */
  readonly owner: Hex;
}

export interface ReceiptChecks {
  receiptDigest(receipt: Receipt): Uint8Array;
  grantDigest(grant: SignerGrant): Uint8Array;
  consentDigest(consent: Consent): Uint8Array;
  /** undefined: the owner has let this key sign receipts of this version. */
  checkGrant(grant: SignedGrant, owner: Hex): Refusal | undefined;
  /** undefined: signed by a granted key, and for what was asked. Refuses with receipt_unfit. */
  checkBill(envelope: ReceiptEnvelope, digest: Uint8Array, expected: BillExpectation): Refusal | undefined;
}

/** Grants that were checked once are remembered up to this number. */
const REMEMBERED_GRANTS = 1000;

export const receiptChecks = (
  keccak: Keccak256,
  recover: Recover,
  chainId: bigint,
  contracts: { readonly modelRegistry: Hex; readonly disputeManager: Hex },
): ReceiptChecks => {
  const registry = { name: 'ModelRegistry', chainId, verifyingContract: contracts.modelRegistry } as const;
  const receiptDigest = digester(keccak, RECEIPT, registry);
  const grantDigest = digester(keccak, SIGNER_GRANT, registry);
  const consentDigest = digester(keccak, CONSENT, { name: 'DisputeManager', chainId, verifyingContract: contracts.disputeManager });
  const granted = new Set<string>();
  const checkGrant = (grant: SignedGrant, owner: Hex): Refusal | undefined => {
    const name = `${owner}${grant.versionId}${grant.signer}${grant.notAfter}${grant.signature}`;
    if (granted.has(name)) return undefined;
    if (recover(grantDigest(grant), grant.signature) !== owner) {
      return refuse('receipt_unfit', `the grant for ${grant.signer} is not signed by the model's owner ${owner}`);
    }
    if (granted.size >= REMEMBERED_GRANTS) granted.clear();
    granted.add(name);
    return undefined;
  };
  return {
    receiptDigest,
    grantDigest,
    consentDigest,
    checkGrant,
    checkBill({ receipt, signature, grant, params }, digest, expected) {
      const wrong = (
        [
          ['requestId', receipt.requestId === expected.requestId],
          ['price', receipt.price === expected.price],
          ['beneficiary', receipt.beneficiary === expected.beneficiary],
          ['cumulative', receipt.cumulative >= receipt.price],
          ['versionId', receipt.versionId === grant.versionId],
          ['issuedAt', receipt.issuedAt <= grant.notAfter],
          ['paramsHash', receipt.paramsHash === paramsHashOf(keccak, params)],
        ] as const
      ).find(([, fits]) => !fits);
      if (wrong)
        return refuse('receipt_unfit', `the provider's receipt does not fit: ${wrong[0]}`, { param: `envelope.receipt.${wrong[0]}` });
      if (recover(digest, signature) !== grant.signer) {
        return refuse('receipt_unfit', `the receipt is not signed by the granted key ${grant.signer}`, { param: 'envelope.signature' });
      }
      return checkGrant(grant, expected.owner);
    },
  };
};
