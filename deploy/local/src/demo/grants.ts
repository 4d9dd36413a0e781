import { SIGNER_GRANT, digester } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import { modelIdOf, versionIdOf } from '@cupel/protocol/ids';
import type { SignedGrant } from '@cupel/protocol/wire/receipt';
import { keccak256 } from '@cupel/signing/keccak';

import type { ProviderAccounts } from './accounts.ts';

export const firstVersionOf = (owner: Hex, slug: string): { modelId: Hex; versionId: Hex } => {
  const modelId = modelIdOf(keccak256, owner, slug);
  return { modelId, versionId: versionIdOf(keccak256, modelId, 1) };
};

/** The owner's cold key lets the edge's hot key sign receipts of these entries; version ids are known before registration. */
export const grantsFor = (
  provider: ProviderAccounts,
  slugs: readonly string[],
  chainId: number,
  modelRegistry: Hex,
  notAfter: bigint,
): SignedGrant[] => {
  const digest = digester(keccak256, SIGNER_GRANT, { name: 'ModelRegistry', chainId: BigInt(chainId), verifyingContract: modelRegistry });
  return slugs.map((slug) => {
    const grant = { versionId: firstVersionOf(provider.owner.address, slug).versionId, signer: provider.receiptSigner.address, notAfter };
    return { ...grant, signature: provider.owner.signer.sign(digest(grant)) };
  });
};
