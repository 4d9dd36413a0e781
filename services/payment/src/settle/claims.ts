import type { Keccak256 } from '@cupel/protocol/eip712';
import { bytesToHex, concatBytes, hexToBytes } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import { micro } from '@cupel/protocol/money';
import type { Micro } from '@cupel/protocol/money';
import { receiptRoot } from '@cupel/protocol/receipt-tree';

/** A receipt that no claim holds yet. */
export interface UnclaimedReceipt {
  readonly requestId: Hex;
  readonly versionId: Hex;
  readonly receiptDigest: Hex;
  readonly price: Micro;
  readonly heldAtMs: number;
}

/** `planned`: may or may not have reached the operator; it is asked again with the same root. */
export interface Claim {
  readonly claimId: Hex;
  readonly versionId: Hex;
  readonly root: Hex;
  readonly count: number;
  readonly maxPrice: Micro;
  readonly state: 'planned' | 'posted';
  readonly tx: Hex | null;
  readonly plannedAtMs: number;
}

export interface ClaimPolicy {
  /** A batch closes when its oldest receipt is this old. */
  readonly everySeconds: number;
  /** … or when it has this many. */
  readonly maxCount: number;
}

/** Does the version have a court? undefined: the registry has not told yet. */
export type HasArbiter = (versionId: Hex) => boolean | undefined;

export interface ClaimPlan {
  /** The receipts of each claim, in the order of the tree's leaves. */
  readonly claims: readonly { readonly claim: Claim; readonly receipts: readonly UnclaimedReceipt[] }[];
  /** Receipts of versions without an arbiter: never claimed, counted only. */
  readonly unarbitrated: readonly UnclaimedReceipt[];
}

/** keccak256(abi.encode(versionId, root)). */
export const claimIdOf = (keccak: Keccak256, versionId: Hex, root: Hex): Hex =>
  bytesToHex(keccak(concatBytes(hexToBytes(versionId, 32), hexToBytes(root, 32))));

export const planClaims = (
  keccak: Keccak256,
  unclaimed: readonly UnclaimedReceipt[],
  hasArbiter: HasArbiter,
  policy: ClaimPolicy,
  nowMs: number,
): ClaimPlan => {
  const byVersion = Map.groupBy(unclaimed, (r) => r.versionId);
  const claims: { claim: Claim; receipts: readonly UnclaimedReceipt[] }[] = [];
  const unarbitrated: UnclaimedReceipt[] = [];
  for (const [versionId, receipts] of byVersion) {
    const arbiter = hasArbiter(versionId);
    if (arbiter === false) unarbitrated.push(...receipts);
    if (arbiter !== true) continue;
    for (let at = 0; at < receipts.length; at += policy.maxCount) {
      const batch = receipts.slice(at, at + policy.maxCount);
      const full = batch.length === policy.maxCount;
      if (!full && nowMs - batch[0]!.heldAtMs < policy.everySeconds * 1000) continue;
      claims.push({ claim: claimOf(keccak, versionId, batch, nowMs), receipts: batch });
    }
  }
  return { claims, unarbitrated };
};

const claimOf = (keccak: Keccak256, versionId: Hex, receipts: readonly UnclaimedReceipt[], nowMs: number): Claim => {
  const root = bytesToHex(
    receiptRoot(
      keccak,
      receipts.map((r) => hexToBytes(r.receiptDigest, 32)),
    ),
  );
  return {
    claimId: claimIdOf(keccak, versionId, root),
    versionId,
    root,
    count: receipts.length,
    maxPrice: micro(receipts.reduce((max, r) => (r.price > max ? r.price : max), 0n)),
    state: 'planned',
    tx: null,
    plannedAtMs: nowMs,
  };
};
