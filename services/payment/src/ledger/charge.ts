import type { Hex } from '@cupel/protocol/hex';
import { micro } from '@cupel/protocol/money';
import type { Micro } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import type { ReceiptEnvelope } from '@cupel/protocol/wire/receipt';

import { takeable } from '../quote/allowance.ts';
import type { Exposure } from '../quote/allowance.ts';
import { markStale } from './lease.ts';
import { decided, refused } from './rows.ts';
import type { Change, ChannelRow, ChargeRow, Decision, LeaseRow, LedgerView, PayloadRow } from './rows.ts';

interface ChargeCommon {
  readonly requestId: Hex;
  readonly leaseId: string;
  readonly price: Micro;
  readonly modelId: Hex;
  readonly publicName: string;
  /** Says whether a second charge under the same request id is the same charge. */
  readonly fingerprint: string;
  readonly payload: PayloadRow | null;
  readonly exposure: Exposure;
  readonly nowMs: number;
}

/** Gateway: the provider's bill was checked against the delivered bytes; the consumer pays it, and it is owed on `outgoingId`. */
export interface ChargeBill extends ChargeCommon {
  readonly kind: 'bill';
  readonly envelope: ReceiptEnvelope;
  readonly receiptDigest: Hex;
}

/** Edge: the receipt is made here, once the price and the channel's sum are known. */
export interface ChargeDraft extends ChargeCommon {
  readonly kind: 'draft';
  readonly channelId: Hex;
  readonly versionId: Hex;
  /** Signs the receipt; a pure function of its arguments. */
  readonly seal: (price: Micro, cumulative: Micro, beneficiary: Hex) => { readonly envelope: ReceiptEnvelope; readonly receiptDigest: Hex };
}

export interface Charged {
  readonly row: ChargeRow;
  /** Price less what was charged: the payer's ceiling did not reach, and the payee bears it. */
  readonly shortfall: Micro;
  /** The same charge had been made before: nothing was written. */
  readonly repeated: boolean;
}

/**
 * Closes one request at its true price, once per request id. The lease pays first and the unreserved rest of the channel next; what neither
 * covers is the payee's loss, never the payer's debt. An expired lease is an empty one.
 */
export const chargeRequest = (view: LedgerView, command: ChargeBill | ChargeDraft): Decision<Charged> => {
  const { requestId } = command;
  const before = view.charge(requestId);
  if (before) {
    if (before.fingerprint !== command.fingerprint) {
      return refused(refuse('request_replayed', `the request ${requestId} has been charged with another content`, { param: 'requestId' }));
    }
    return decided({ row: before, shortfall: micro(before.price - before.charged), repeated: true });
  }
  const lease = view.lease(command.leaseId);
  const known = lease && view.channel(lease.channelId);
  if (!lease || !known)
    return refused(refuse('invalid_field', `the lease ${command.leaseId} is not known here; ask for a new one`, { param: 'leaseId' }));
  if (command.kind === 'draft' && command.channelId !== known.channelId) {
    return refused(refuse('invalid_field', `the lease belongs to the channel ${known.channelId}`, { param: 'draft.channelId' }));
  }
  const taken = take(markStale(known, command.exposure), lease, command.price, command.exposure);
  return command.kind === 'draft' ? withReceipt(command, taken) : withBill(view, command, taken);
};

interface Taken {
  readonly channel: ChannelRow;
  readonly lease: LeaseRow;
  readonly charged: Micro;
}

const take = (channel: ChannelRow, lease: LeaseRow, price: Micro, exposure: Exposure): Taken => {
  const reserved = lease.state === 'open' ? lease.amount - lease.charged : 0n;
  const most = reserved + takeable(channel, exposure);
  const charged = micro(price < most ? price : most);
  const fromLease = charged < reserved ? charged : reserved;
  return {
    charged,
    lease: { ...lease, charged: micro(lease.charged + fromLease) },
    channel: {
      ...channel,
      charged: micro(channel.charged + charged),
      leased: micro(channel.leased - fromLease),
      requests: channel.requests + 1,
    },
  };
};

const withReceipt = (command: ChargeDraft, taken: Taken): Decision<Charged> => {
  const { channel, charged } = taken;
  const { envelope, receiptDigest } = command.seal(charged, channel.charged, channel.descriptor.payer);
  const shortfall = micro(command.price - charged);
  return written(command, taken, {
    price: charged,
    shortfall,
    envelope,
    receiptDigest,
    outgoingId: null,
    more: [],
  });
};

const withBill = (view: LedgerView, command: ChargeBill, taken: Taken): Decision<Charged> => {
  const { receipt } = command.envelope;
  const outgoing = view.outgoing(receipt.channelId);
  if (!outgoing) {
    return refused(
      refuse('receipt_unfit', `the receipt names the channel ${receipt.channelId}, which is not one of ours`, {
        param: 'envelope.receipt.channelId',
      }),
    );
  }
  const row = {
    ...outgoing,
    receipted: micro(outgoing.receipted + command.price),
    lastCumulative: micro(receipt.cumulative > outgoing.lastCumulative ? receipt.cumulative : outgoing.lastCumulative),
    usedAtMs: command.nowMs,
  };
  return written(command, taken, {
    price: command.price,
    shortfall: micro(command.price - taken.charged),
    envelope: command.envelope,
    receiptDigest: command.receiptDigest,
    outgoingId: outgoing.channelId,
    more: [{ table: 'outgoing', row }],
  });
};

interface Written {
  readonly price: Micro;
  readonly shortfall: Micro;
  readonly envelope: ReceiptEnvelope;
  readonly receiptDigest: Hex;
  readonly outgoingId: Hex | null;
  readonly more: readonly Change[];
}

const written = (command: ChargeCommon, { channel, lease, charged }: Taken, w: Written): Decision<Charged> => {
  const { requestId, modelId, publicName, nowMs } = command;
  const { envelope, receiptDigest } = w;
  const row: ChargeRow = {
    requestId,
    channelId: channel.channelId,
    leaseId: lease.leaseId,
    consumerId: channel.consumerId,
    price: w.price,
    charged,
    cumulative: channel.charged,
    modelId,
    versionId: envelope.receipt.versionId,
    publicName,
    receiptDigest,
    envelope,
    fingerprint: command.fingerprint,
    outgoingId: w.outgoingId,
    heldAtMs: nowMs,
  };
  return decided<Charged>(
    { row, shortfall: w.shortfall, repeated: false },
    { table: 'channels', row: channel },
    { table: 'leases', row: lease },
    { table: 'charges', row },
    ...w.more,
    { table: 'outbox', row: { requestId, heldAtMs: nowMs } },
    ...(command.payload ? [{ table: 'payloads', row: command.payload } as const] : []),
  );
};
