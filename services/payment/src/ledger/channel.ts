import type { Hex } from '@cupel/protocol/hex';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import { baseUnits, micro, toMicro, ZERO_BASE, ZERO_MICRO } from '@cupel/protocol/money';
import type { BaseUnits, Micro } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';

import { decided, refused } from './rows.ts';
import type { ChannelRow, ChannelStatus, Decision, LedgerView } from './rows.ts';

/** What is known of a channel on chain; `deposit` is the final one. */
export interface ChannelFacts {
  readonly deposit: BaseUnits;
  readonly settled: BaseUnits;
  readonly closeAt: number;
  readonly status: ChannelStatus;
}

export interface RegisterChannel {
  readonly channelId: Hex;
  readonly descriptor: ChannelDescriptor;
  /** Who registers with an API key; null: the payer by a voucher or a session. */
  readonly consumerId: string | null;
  readonly facts: ChannelFacts;
  readonly nowMs: number;
}

/** Enters a channel, once; a second time it only takes the newer facts. The caller has checked descriptor and channel id. */
export const registerChannel = (view: LedgerView, command: RegisterChannel): Decision<ChannelRow> => {
  const { channelId, descriptor, consumerId, facts, nowMs } = command;
  const known = view.channel(channelId);
  if (known) return observeChannel(view, { channelId, facts });
  const row: ChannelRow = {
    channelId,
    descriptor,
    consumerId,
    ceiling: ZERO_BASE,
    voucher: null,
    charged: ZERO_MICRO,
    credited: ZERO_MICRO,
    leased: ZERO_MICRO,
    staleBase: null,
    deposit: facts.deposit,
    settled: facts.settled,
    closeAt: facts.closeAt,
    status: facts.status,
    requests: 0,
    registeredAtMs: nowMs,
  };
  return decided(row, { table: 'channels', row });
};

/** Takes what the chain says now; also a fall, which is a reorg. */
export const observeChannel = (
  view: LedgerView,
  command: { readonly channelId: Hex; readonly facts: ChannelFacts },
): Decision<ChannelRow> => {
  const known = view.channel(command.channelId);
  if (!known) return refused(unknownChannel(command.channelId));
  const { deposit, settled, closeAt, status } = command.facts;
  if (known.deposit === deposit && known.settled === settled && known.closeAt === closeAt && known.status === status) return decided(known);
  const row: ChannelRow = { ...known, deposit, settled, closeAt, status };
  return decided(row, { table: 'channels', row });
};

export interface AcceptVoucher {
  readonly channelId: Hex;
  readonly maxClaimable: BaseUnits;
  /** Checked by the caller against the channel's signer. */
  readonly signature: Hex;
  /** Whose API key brought it; null: signed header, or another party's gateway. */
  readonly consumerId: string | null;
}

/**
 * Raises a channel's ceiling. The first voucher says whose the channel is: its signature is the proof that a descriptor, which anyone can
 * read on chain, is not.
 */
export const acceptVoucher = (view: LedgerView, command: AcceptVoucher): Decision<ChannelRow> => {
  const { channelId, maxClaimable, signature, consumerId } = command;
  const channel = view.channel(channelId);
  if (!channel) return refused(unknownChannel(channelId));
  const first = channel.voucher === null;
  if (!first && consumerId !== null && channel.consumerId !== consumerId) {
    return refused(refuse('forbidden', `the channel ${channelId} belongs to another credential`, { param: 'channelId' }));
  }
  const closed = notOpen(channel);
  if (closed) return refused(closed);
  if (maxClaimable <= channel.ceiling) {
    return refused(
      refuse('voucher_not_higher', `the voucher is for ${maxClaimable} base units, the last one for ${channel.ceiling}`, {
        param: 'maxClaimableAmount',
        required: baseUnits(channel.ceiling + 1n),
      }),
    );
  }
  if (maxClaimable > channel.deposit) {
    return refused(
      refuse('voucher_beyond_deposit', `the voucher is for ${maxClaimable} base units, the final deposit is ${channel.deposit}`, {
        param: 'maxClaimableAmount',
        missing: baseUnits(maxClaimable - channel.deposit),
      }),
    );
  }
  const row: ChannelRow = { ...channel, ceiling: maxClaimable, voucher: signature, consumerId: first ? consumerId : channel.consumerId };
  return decided(row, { table: 'channels', row });
};

export interface CreditReceipt {
  readonly receiptDigest: Hex;
  /** What the bond has paid for the receipt, base units. */
  readonly refund: BaseUnits;
  readonly nowMs: number;
}

export interface Credited {
  readonly credited: Micro;
  /** Charged for the receipt and not refunded by the bond: the payer's loss. */
  readonly lost: Micro;
}

/**
 * Gives back what an upheld receipt was charged, once per receipt and no more than the bond has refunded: the payee passes money on, it does
 * not stand in for the provider. Both values are 0 when it had been given back or never been charged here.
 */
export const creditReceipt = (view: LedgerView, { receiptDigest, refund, nowMs }: CreditReceipt): Decision<Credited> => {
  const charge = view.chargeOf(receiptDigest);
  if (!charge || view.credit(receiptDigest)) return decided({ credited: ZERO_MICRO, lost: ZERO_MICRO });
  const channel = view.channel(charge.channelId);
  if (!channel) throw new Error(`the charge ${charge.requestId} names the channel ${charge.channelId}, which the ledger does not have`);
  const refunded = toMicro(refund);
  const amount = refunded < charge.charged ? refunded : charge.charged;
  return decided<Credited>(
    { credited: amount, lost: micro(charge.charged - amount) },
    { table: 'channels', row: { ...channel, credited: micro(channel.credited + amount) } },
    {
      table: 'credits',
      row: { receiptDigest, requestId: charge.requestId, channelId: charge.channelId, amount, atMs: nowMs },
    },
  );
};

export const unknownChannel = (channelId: Hex): Refusal =>
  refuse('no_channel', `the channel ${channelId} is not known here`, { param: 'channelId' });

/** undefined: new work and new vouchers are welcome. */
export const notOpen = (channel: Pick<ChannelRow, 'channelId' | 'status' | 'deposit'>): Refusal | undefined => {
  switch (channel.status) {
    case 'open':
      if (channel.deposit > 0n) return undefined;
      return refuse('channel_not_final', `the opening of the channel ${channel.channelId} is not final yet`, { param: 'channelId' });
    case 'unknown':
      return refuse('channel_not_final', `the opening of the channel ${channel.channelId} has not been seen on chain yet`, {
        param: 'channelId',
      });
    case 'closing':
    case 'closed':
      return refuse('channel_closing', `the channel ${channel.channelId} is ${channel.status}`, { param: 'channelId' });
  }
};
