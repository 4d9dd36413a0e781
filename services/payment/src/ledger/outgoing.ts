import type { Hex } from '@cupel/protocol/hex';
import { baseUnits } from '@cupel/protocol/money';
import type { BaseUnits, Micro } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';

import { needsTopUp, prepaidFor, quoteVoucher } from '../quote/prepaid.ts';
import type { PrepaidLimits, VoucherQuote } from '../quote/prepaid.ts';
import type { ChannelFacts } from './channel.ts';
import { decided, refused } from './rows.ts';
import type { Decision, LedgerView, OutgoingRow, OutgoingSession } from './rows.ts';

/** Channels to one provider that are not closed: each binds a deposit until its exit is over. */
const MAX_CHANNELS = 4;

/** The provider's other channels: of the same owner, or paid at the same address. */
const othersOf = (view: LedgerView, row: OutgoingRow): readonly OutgoingRow[] =>
  [...view.allOutgoing()].filter(
    (o) => o.channelId !== row.channelId && (o.payee === row.payee || (o.owner !== null && o.owner === row.owner)),
  );

/** Enters a channel that is about to be opened: before anything is sent, so that a crash finds it again. */
export const planOutgoing = (
  view: LedgerView,
  { row, limits }: { readonly row: OutgoingRow; readonly limits: PrepaidLimits },
): Decision<OutgoingRow> => {
  const known = view.outgoing(row.channelId);
  if (known) return decided(known);
  const others = othersOf(view, row);
  const open = others.filter((o) => o.status !== 'closed').length;
  if (open >= MAX_CHANNELS) {
    return refused(refuse('no_provider', `${open} channels to the provider ${row.payee} are not closed yet; no more is opened`));
  }
  if (prepaidFor(limits, row, others) === 0n) {
    return refused(
      refuse(
        'no_provider',
        `the provider ${row.payee} holds as much money without receipts as a gateway risks (twice maxPrepaidBaseUnits and 1 % of its receipts)`,
      ),
    );
  }
  return decided(row, { table: 'outgoing', row });
};

const statusOf = (before: OutgoingRow['status'], facts: ChannelFacts): OutgoingRow['status'] => {
  if (facts.status === 'unknown') {
    // A reorg may have undone the opening, and the transaction lane sends it again. What was given up stays so.
    return before === 'closed' || before === 'closing' || before === 'retiring' ? before : 'opening';
  }
  if (facts.status !== 'open') return facts.status;
  // Nobody but the payer starts an exit: one that a reorg has undone is started again.
  if (before === 'retiring' || before === 'closing') return 'retiring';
  return facts.deposit === 0n ? 'opening' : 'open';
};

const change = (view: LedgerView, channelId: Hex, update: (row: OutgoingRow) => OutgoingRow): Decision<OutgoingRow> => {
  const known = view.outgoing(channelId);
  if (!known) return refused(refuse('no_channel', `the channel ${channelId} is not one of ours`));
  const row = update(known);
  return row === known ? decided(known) : decided(row, { table: 'outgoing', row });
};

/** Takes what the chain says of an own channel. */
export const observeOutgoing = (
  view: LedgerView,
  { channelId, facts }: { readonly channelId: Hex; readonly facts: ChannelFacts },
): Decision<OutgoingRow> =>
  change(view, channelId, (row) => {
    const status = statusOf(row.status, facts);
    const plannedDeposit = row.plannedDeposit > facts.deposit ? row.plannedDeposit : facts.deposit;
    // What was redeemed is not forgotten with the projection: it is what a closed channel has cost.
    const settled = facts.status === 'unknown' ? row.settled : facts.settled;
    if (row.status === status && row.deposit === facts.deposit && row.plannedDeposit === plannedDeposit && row.settled === settled)
      return row;
    return { ...row, status, deposit: facts.deposit, plannedDeposit, settled };
  });

/** Plans one more top-up when too little is unsigned; the value says whether. */
export const planTopUp = (
  view: LedgerView,
  { channelId, portion }: { readonly channelId: Hex; readonly portion: BaseUnits },
): Decision<OutgoingRow> =>
  change(view, channelId, (row) =>
    row.status === 'open' && needsTopUp(row, portion)
      ? { ...row, plannedDeposit: baseUnits(row.plannedDeposit + portion), topUps: row.topUps + 1 }
      : row,
  );

/** Takes a planned top-up back that the chain refused for good. */
export const cancelTopUp = (
  view: LedgerView,
  { channelId, portion }: { readonly channelId: Hex; readonly portion: BaseUnits },
): Decision<OutgoingRow> => change(view, channelId, (row) => ({ ...row, plannedDeposit: baseUnits(row.plannedDeposit - portion) }));

/** The opening failed for good: another channel has to be planned. */
export const abandonOutgoing = (view: LedgerView, channelId: Hex): Decision<OutgoingRow> =>
  change(view, channelId, (row) => ({ ...row, status: 'closed' }));

/** Gives an open channel up, unless it was used after `unusedSinceMs`; its exit follows. */
export const retireOutgoing = (
  view: LedgerView,
  { channelId, unusedSinceMs }: { readonly channelId: Hex; readonly unusedSinceMs?: number },
): Decision<OutgoingRow> =>
  change(view, channelId, (row) =>
    row.status === 'open' && (unusedSinceMs === undefined || row.usedAtMs <= unusedSinceMs) ? { ...row, status: 'retiring' } : row,
  );

export const renewSession = (
  view: LedgerView,
  { channelId, session }: { readonly channelId: Hex; readonly session: OutgoingSession },
): Decision<OutgoingRow> => change(view, channelId, (row) => ({ ...row, session }));

/**
 * Writes down the amount that is about to be signed, so that no later voucher is lower, also after a crash. The signature leaves the process
 * only after this is durable.
 */
export const signOutgoing = (
  view: LedgerView,
  command: { readonly channelId: Hex; readonly need: Micro; readonly limits: PrepaidLimits; readonly nowMs: number },
): Decision<{ readonly row: OutgoingRow; readonly quote: VoucherQuote }> => {
  const row = view.outgoing(command.channelId);
  if (!row) return refused(refuse('no_channel', `the channel ${command.channelId} is not one of ours`));
  const maxPrepaid = prepaidFor(command.limits, row, othersOf(view, row));
  const quote = quoteVoucher(row, command.need, { ...command.limits, maxPrepaid });
  if (quote.kind !== 'sign' || quote.amount === row.signedMax) return decided({ row, quote });
  const signed: OutgoingRow = { ...row, signedMax: quote.amount, usedAtMs: command.nowMs };
  return decided({ row: signed, quote }, { table: 'outgoing', row: signed });
};
