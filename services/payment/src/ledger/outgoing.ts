import type { Hex } from '@cupel/protocol/hex';
import { baseUnits } from '@cupel/protocol/money';
import type { BaseUnits, Micro } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';

import { needsTopUp, quoteVoucher } from '../quote/prepaid.ts';
import type { PrepaidLimits, VoucherQuote } from '../quote/prepaid.ts';
import type { ChannelFacts } from './channel.ts';
import { decided, refused } from './rows.ts';
import type { Decision, LedgerView, OutgoingRow, OutgoingSession } from './rows.ts';

/** Enters a channel that is about to be opened: before anything is sent, so that a crash finds it again. */
export const planOutgoing = (view: LedgerView, row: OutgoingRow): Decision<OutgoingRow> =>
  decided(view.outgoing(row.channelId) ?? row, ...(view.outgoing(row.channelId) ? [] : [{ table: 'outgoing', row } as const]));

/** Not on chain, or no longer: a reorg may have undone the opening, and the transaction lane sends it again. */
const statusUnseen = (before: OutgoingRow['status']): OutgoingRow['status'] => (before === 'closed' ? 'closed' : 'opening');

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
    const status =
      facts.status === 'unknown' ? statusUnseen(row.status) : facts.deposit === 0n && facts.status === 'open' ? 'opening' : facts.status;
    const plannedDeposit = row.plannedDeposit > facts.deposit ? row.plannedDeposit : facts.deposit;
    if (row.status === status && row.deposit === facts.deposit && row.plannedDeposit === plannedDeposit) return row;
    return { ...row, status, deposit: facts.deposit, plannedDeposit };
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
  command: { readonly channelId: Hex; readonly need: Micro; readonly limits: PrepaidLimits },
): Decision<{ readonly row: OutgoingRow; readonly quote: VoucherQuote }> => {
  const row = view.outgoing(command.channelId);
  if (!row) return refused(refuse('no_channel', `the channel ${command.channelId} is not one of ours`));
  const quote = quoteVoucher(row, command.need, command.limits);
  if (quote.kind !== 'sign' || quote.amount === row.signedMax) return decided({ row, quote });
  const signed: OutgoingRow = { ...row, signedMax: quote.amount };
  return decided({ row: signed, quote }, { table: 'outgoing', row: signed });
};
