import type { BlockRef } from '../tail/path.ts';

export interface Heads {
  readonly latest: BlockRef & { readonly timestamp: number };
  readonly safe: BlockRef & { readonly timestamp: number };
  readonly finalized: BlockRef & { readonly timestamp: number };
}

/** undefined: plausible. A node that is behind or of two minds must not move a cursor. */
export const implausible = (heads: Heads): string | undefined => {
  if (heads.finalized.number > heads.safe.number)
    return `finalized block ${heads.finalized.number} is above safe block ${heads.safe.number}`;
  if (heads.safe.number > heads.latest.number) return `safe block ${heads.safe.number} is above head ${heads.latest.number}`;
  return undefined;
};

/** A cursor never goes back, and never ahead of the projections. */
export const advance = (cursor: number, node: number, tip: number): number => Math.max(cursor, Math.min(node, tip));

/** undefined: fresh. */
export const stale = (timestampSeconds: number, nowMs: number, limitSeconds: number): string | undefined => {
  const age = Math.floor(nowMs / 1000) - timestampSeconds;
  return age > limitSeconds ? `the last block is ${age} s old` : undefined;
};
