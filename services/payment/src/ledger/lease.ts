import type { Hex } from '@cupel/protocol/hex';
import { micro, ZERO_MICRO } from '@cupel/protocol/money';
import type { Micro } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';

import { shortfall, takeable } from '../quote/allowance.ts';
import type { Exposure } from '../quote/allowance.ts';
import { notOpen, unknownChannel } from './channel.ts';
import { decided, refused } from './rows.ts';
import type { Change, ChannelRow, Decision, LeaseRow, LedgerView } from './rows.ts';

export interface GrantLease {
  readonly leaseId: string;
  readonly channelId: Hex;
  readonly routerId: string;
  readonly minimum: Micro;
  readonly wanted: Micro;
  readonly expiresAtMs: number;
  readonly exposure: Exposure;
}

/** Remembers what had been charged when the head went stale, and forgets it when it is fresh again. */
export const markStale = (channel: ChannelRow, exposure: Exposure): ChannelRow =>
  exposure.stale === (channel.staleBase !== null) ? channel : { ...channel, staleBase: exposure.stale ? channel.charged : null };

/** Reserves between `minimum` and `wanted` micro for one router; refuses with the amount that is missing. */
export const grantLease = (view: LedgerView, command: GrantLease): Decision<LeaseRow> => {
  const known = view.channel(command.channelId);
  if (!known) return refused(unknownChannel(command.channelId));
  const closed = notOpen(known);
  if (closed) return refused(closed);
  const channel = markStale(known, command.exposure);
  const short = shortfall(channel, command.exposure, command.minimum);
  if (short) return refused(short);
  const most = takeable(channel, command.exposure);
  const wish = command.wanted > command.minimum ? command.wanted : command.minimum;
  const amount = micro(wish < most ? wish : most);
  const { leaseId, channelId, routerId, expiresAtMs } = command;
  const row: LeaseRow = { leaseId, channelId, routerId, amount, charged: ZERO_MICRO, expiresAtMs, state: 'open' };
  return decided(row, { table: 'leases', row }, { table: 'channels', row: { ...channel, leased: micro(channel.leased + amount) } });
};

export interface RenewLease {
  readonly leaseId: string;
  readonly channelId: Hex;
  readonly routerId: string;
  readonly expiresAtMs: number;
}

/**
 * Prolongs an open lease, its amount as it is: what it reserves has been counted already, so a closing channel or a stale head is no reason
 * to take it from under a running answer. Only the router that holds it may, and never once it has ended.
 */
export const renewLease = (view: LedgerView, { leaseId, channelId, routerId, expiresAtMs }: RenewLease): Decision<LeaseRow> => {
  const lease = view.lease(leaseId);
  if (!lease || lease.state !== 'open' || lease.routerId !== routerId || lease.channelId !== channelId) {
    return refused(refuse('invalid_field', `the lease ${leaseId} is not open; ask for a new one`, { param: 'renew' }));
  }
  if (expiresAtMs <= lease.expiresAtMs) return decided(lease);
  const row: LeaseRow = { ...lease, expiresAtMs };
  return decided(row, { table: 'leases', row });
};

/** Gives the rest of a lease back; 0 when it is gone already. Only the router that holds it may. */
export const releaseLease = (view: LedgerView, command: { readonly leaseId: string; readonly routerId: string }): Decision<Micro> => {
  const lease = view.lease(command.leaseId);
  if (!lease || lease.state !== 'open' || lease.routerId !== command.routerId) return decided(ZERO_MICRO);
  return decided(rest(lease), ...close(view.channel(lease.channelId), lease, 'released'));
};

/** Gives back the rests of all leases whose time is over; the value is how many. */
export const expireLeases = (view: LedgerView, command: { readonly nowMs: number }): Decision<number> => {
  const channels = new Map<Hex, ChannelRow>();
  const changes: Change[] = [];
  let expired = 0;
  for (const lease of view.openLeases()) {
    if (lease.expiresAtMs > command.nowMs) continue;
    expired += 1;
    for (const change of close(channels.get(lease.channelId) ?? view.channel(lease.channelId), lease, 'expired')) {
      if (change.table === 'channels') channels.set(lease.channelId, change.row);
      else changes.push(change);
    }
  }
  return decided(expired, ...changes, ...[...channels.values()].map((row): Change => ({ table: 'channels', row })));
};

const rest = (lease: LeaseRow): Micro => micro(lease.amount - lease.charged);

const close = (channel: ChannelRow | undefined, lease: LeaseRow, state: 'released' | 'expired'): Change[] => {
  if (!channel) throw new Error(`the lease ${lease.leaseId} names the channel ${lease.channelId}, which the ledger does not have`);
  return [
    { table: 'leases', row: { ...lease, state } },
    { table: 'channels', row: { ...channel, leased: micro(channel.leased - rest(lease)) } },
  ];
};
