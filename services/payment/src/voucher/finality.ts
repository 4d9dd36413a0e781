import type { BaseUnits } from '@cupel/protocol/money';
import { baseUnits } from '@cupel/protocol/money';
import type { ChannelState } from '@cupel/protocol/wire/projections';

/**
 * Which deposit may be believed. The projection shows the newest block; a deposit counts from the moment that the safe head has reached the
 * block in which it was seen first. A lower one (a reorg) counts at once.
 */
export interface DepositHistory {
  readonly final: BaseUnits;
  /** Seen, and final once the safe head reaches `atBlock`; rising. */
  readonly coming: readonly { readonly deposit: BaseUnits; readonly atBlock: number }[];
}

export interface Heads {
  /** Block numbers; undefined: never seen. */
  readonly latest: number | undefined;
  readonly safe: number | undefined;
}

const NOTHING: DepositHistory = { final: baseUnits(0n), coming: [] };

/**
 * The history after the projection showed `state`, or no longer shows the channel. At first sight a deposit counts from the block of the
 * opening; a later rise counts from the newest block known, since the projection does not say in which one it happened.
 */
export const observeDeposit = (history: DepositHistory | undefined, state: ChannelState | undefined, heads: Heads): DepositHistory => {
  if (!state) return NOTHING;
  const before = history ?? NOTHING;
  const deposit = baseUnits(state.deposit);
  const final = before.final > deposit ? deposit : before.final;
  const coming = before.coming.filter((c) => c.deposit <= deposit);
  if (deposit === final || coming.some((c) => c.deposit === deposit)) return settleDeposit({ final, coming }, heads);
  const atBlock = history ? Math.max(heads.latest ?? state.openedAtBlock, state.openedAtBlock) : state.openedAtBlock;
  return settleDeposit({ final, coming: [...coming, { deposit, atBlock }] }, heads);
};

/** Moves what the safe head has reached into `final`. */
export const settleDeposit = (history: DepositHistory, heads: Heads): DepositHistory => {
  const reached = history.coming.filter((c) => heads.safe !== undefined && c.atBlock <= heads.safe);
  if (reached.length === 0) return history;
  return { final: reached.at(-1)!.deposit, coming: history.coming.slice(reached.length) };
};
