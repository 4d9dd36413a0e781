import type { SignerGrant } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import type { SignedGrant } from '@cupel/protocol/wire/receipt';

const CAPACITY = 4096;

/** Who signed a grant. The same few grants come with every receipt: each is recovered once. */
export const grantOwners = (
  grantDigest: (grant: SignerGrant) => Uint8Array,
  recover: (digest: Uint8Array, signature: Hex) => Hex | undefined,
): ((grant: SignedGrant) => Hex | undefined) => {
  const known = new Map<string, Hex | undefined>();
  return (grant) => {
    const key = `${grant.versionId} ${grant.signer} ${grant.notAfter} ${grant.signature}`;
    if (known.has(key)) return known.get(key);
    const owner = recover(grantDigest(grant), grant.signature);
    const oldest = known.keys().next();
    if (known.size >= CAPACITY && !oldest.done) known.delete(oldest.value);
    known.set(key, owner);
    return owner;
  };
};
