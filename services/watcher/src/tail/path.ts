import type { Hex } from '@cupel/protocol/hex';

export interface BlockRef {
  readonly number: number;
  readonly hash: Hex;
}

export interface Header extends BlockRef {
  readonly parentHash: Hex;
  /** Unix seconds. */
  readonly timestamp: number;
}

/** What the tail remembers, and what the node says now. */
export interface View {
  /** Last block whose events are in the projections; undefined before the first. */
  readonly tip: BlockRef | undefined;
  /** Height of the finalized cursor: nothing at or below it is ever undone. */
  readonly finalized: number;
  /** First block that matters. */
  readonly startBlock: number;
  readonly head: Header;
  /** The node's finalized height. */
  readonly nodeFinalized: number;
  /** The node's block at tip.number + 1, when its head is higher than the tip. */
  readonly next: Header | undefined;
  /** The node's block at the lower one of head and tip. */
  readonly same: BlockRef | undefined;
  /** Our hash at the height of `same`; undefined when it is older than our memory. */
  readonly ours: Hex | undefined;
}

export type Step =
  /** Take over the events of this block. */
  | { readonly kind: 'apply'; readonly block: Header }
  /** Take over a finalized range at once: it needs no way back. */
  | { readonly kind: 'backfill'; readonly from: number; readonly to: number }
  /** Our tip is not on the node's chain: take it back. */
  | { readonly kind: 'undo'; readonly block: BlockRef }
  | { readonly kind: 'wait'; readonly why: 'current' | 'lagging' }
  /** The node contradicts what was final. Nothing is rewritten: a person has to look. */
  | { readonly kind: 'halt'; readonly reason: string };

const BACKFILL_BLOCKS = 2000;
/** Below this many blocks one by one is as good. */
const BACKFILL_LEAST = 32;

/** The one next step of the tail. Called again after each step until it says wait or halt. */
export const decideStep = (view: View): Step => {
  const { tip, head, next, same, ours } = view;
  if (!tip) {
    if (head.number < view.startBlock) return { kind: 'wait', why: 'current' };
    return backfill(view, view.startBlock) ?? (next ? { kind: 'apply', block: next } : { kind: 'wait', why: 'lagging' });
  }
  if (same && ours !== undefined && same.hash !== ours) return undo(view, tip);
  if (same && ours === undefined && same.number < view.finalized) return { kind: 'wait', why: 'lagging' };
  if (head.number < tip.number) return { kind: 'wait', why: 'lagging' };
  if (head.number === tip.number) return head.hash === tip.hash ? { kind: 'wait', why: 'current' } : undo(view, tip);
  const range = backfill(view, tip.number + 1);
  if (range) return range;
  if (!next) return { kind: 'wait', why: 'lagging' };
  return next.parentHash === tip.hash ? { kind: 'apply', block: next } : undo(view, tip);
};

const backfill = ({ nodeFinalized }: View, from: number): Step | undefined => {
  const to = Math.min(nodeFinalized, from + BACKFILL_BLOCKS - 1);
  return to - from + 1 >= BACKFILL_LEAST ? { kind: 'backfill', from, to } : undefined;
};

const undo = ({ finalized, head }: View, tip: BlockRef): Step => {
  if (tip.number > finalized) return { kind: 'undo', block: tip };
  return {
    kind: 'halt',
    reason:
      `the node's chain (head ${head.number} ${head.hash}) does not contain block ${tip.number} ${tip.hash}, which was final; ` +
      "compare with other RPC endpoints; if the chain itself was replaced, delete the watcher's state file",
  };
};
