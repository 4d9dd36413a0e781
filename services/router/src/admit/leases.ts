import { micro } from '@cupel/protocol/money';
import type { Micro } from '@cupel/protocol/money';
import type { Hex } from '@cupel/protocol/hex';
import type { Refusal } from '@cupel/protocol/reasons';
import type { Clock } from '@cupel/protocol/time';
import type { LeaseValue } from '@cupel/protocol/wire/bus';

import { isRefusal } from './refusals.ts';

/** The payment service, as far as leases go. Throws when it cannot be reached. */
export interface LeaseSource {
  lease(request: { readonly channelId: Hex; readonly minimum: Micro; readonly wanted: Micro }): Promise<LeaseValue | Refusal>;
  release(leaseId: string): Promise<void>;
}

/** A reservation on a lease. Exactly one of settle and cancel counts; later calls do nothing. */
export interface Hold {
  /** The lease it stands on now: a long request outlives more than one. */
  readonly leaseId: string;
  readonly amount: Micro;
  /** The request cost `price`; the rest of the hold is free again. */
  settle(price: Micro): void;
  cancel(): void;
}

export interface LeaseBookOptions {
  readonly source: LeaseSource;
  readonly clock: Clock;
  /** How many holds of this size to ask for at once. */
  readonly ahead: bigint;
  /** A lease with less life left takes no new holds, and those on it move to a new one. */
  readonly marginMs: number;
  /** A lease without holds for so long is given back. */
  readonly idleMs: number;
  /** A renewal ahead of need failed: it will be tried again when a hold needs it. */
  readonly onRenewFailed: (error: unknown) => void;
}

interface Lease {
  readonly id: string;
  readonly granted: bigint;
  readonly expiresAtMs: number;
  remaining: bigint;
  readonly holds: Set<OpenHold>;
  usedAtMs: number;
}

interface OpenHold {
  readonly amount: bigint;
  lease: Lease;
}

interface Channel {
  readonly leases: Set<Lease>;
  /** One question to the ledger at a time; the others wait and look again. */
  pending: Promise<unknown> | undefined;
}

/**
 * Budget leases of one router: the ledger grants slices of a channel, requests reserve on them without a network hop. The sum of
 * reservations on a lease never passes what was granted.
 */
export class LeaseBook {
  readonly #options: LeaseBookOptions;
  readonly #channels = new Map<Hex, Channel>();

  constructor(options: LeaseBookOptions) {
    this.#options = options;
  }

  /** Reserves `amount` micro. A refusal is the ledger's; throws what the source throws. */
  async hold(channelId: Hex, amount: Micro): Promise<Hold | Refusal> {
    const channel = this.#channel(channelId);
    for (;;) {
      const lease = this.#find(channel, amount);
      if (lease) {
        this.#renewAhead(channelId, channel, amount);
        return this.#reserve(lease, amount);
      }
      if (channel.pending) {
        // Another request's question may bring enough for both; a refusal of its larger amount says nothing about ours.
        await channel.pending.catch(() => undefined);
        continue;
      }
      return this.#ask(channelId, channel, amount, (lease) => this.#reserve(lease, amount));
    }
  }

  /** Free micro on all leases of a channel. */
  free(channelId: Hex): bigint {
    let sum = 0n;
    for (const lease of this.#channels.get(channelId)?.leases ?? []) sum += lease.remaining;
    return sum;
  }

  /** The ledger no longer knows this lease: nothing more is reserved on it. */
  discard(leaseId: string): void {
    for (const { leases } of this.#channels.values()) {
      for (const lease of leases) if (lease.id === leaseId) leases.delete(lease);
    }
  }

  /** Gives back what is idle or about to end, and moves open holds off leases that are. */
  async sweep(): Promise<void> {
    const now = this.#options.clock.nowMs();
    await this.#renewHeld();
    await this.#release((lease) => lease.holds.size === 0 && (now - lease.usedAtMs >= this.#options.idleMs || !this.#alive(lease)));
  }

  /** Gives back everything that no request holds; for shutdown. */
  async releaseAll(): Promise<void> {
    // A lease that is being granted just now would be left behind.
    await Promise.allSettled([...this.#channels.values()].map((channel) => channel.pending ?? Promise.resolve()));
    await this.#release((lease) => lease.holds.size === 0);
  }

  #channel(channelId: Hex): Channel {
    let channel = this.#channels.get(channelId);
    if (!channel) this.#channels.set(channelId, (channel = { leases: new Set(), pending: undefined }));
    return channel;
  }

  #alive(lease: Lease): boolean {
    return lease.expiresAtMs - this.#options.clock.nowMs() > this.#options.marginMs;
  }

  #find(channel: Channel, amount: bigint): Lease | undefined {
    for (const lease of channel.leases) if (lease.remaining >= amount && this.#alive(lease)) return lease;
    return undefined;
  }

  #reserve(lease: Lease, amount: Micro): Hold {
    const hold: OpenHold = { amount, lease };
    lease.remaining -= amount;
    lease.holds.add(hold);
    const close = (price: bigint): void => {
      if (!hold.lease.holds.delete(hold)) return;
      hold.lease.remaining += amount - price;
      hold.lease.usedAtMs = this.#options.clock.nowMs();
    };
    return {
      get leaseId() {
        return hold.lease.id;
      },
      amount,
      settle: (price) => close(price),
      cancel: () => close(0n),
    };
  }

  #renewAhead(channelId: Hex, channel: Channel, amount: Micro): void {
    if (channel.pending) return;
    let free = 0n - amount;
    let granted = 0n;
    for (const lease of channel.leases) {
      if (!this.#alive(lease)) continue;
      free += lease.remaining;
      granted += lease.granted;
    }
    if (free * 4n >= granted) return;
    this.#ask(channelId, channel, amount, () => undefined).catch((error: unknown) => this.#options.onRenewFailed(error));
  }

  /** One question to the ledger; `use` runs on the new lease before any other request sees it. */
  #ask<T>(channelId: Hex, channel: Channel, amount: Micro, use: (lease: Lease) => T): Promise<T | Refusal> {
    const question = this.#askNow(channelId, channel, amount, use).finally(() => {
      if (channel.pending === question) channel.pending = undefined;
    });
    channel.pending = question;
    return question;
  }

  async #askNow<T>(channelId: Hex, channel: Channel, amount: Micro, use: (lease: Lease) => T): Promise<T | Refusal> {
    // Rests too small for this request are money that the ledger could grant again.
    await this.#release((lease) => lease.holds.size === 0 && (lease.remaining < amount || !this.#alive(lease)), channelId);
    const reply = await this.#options.source.lease({ channelId, minimum: amount, wanted: micro(amount * this.#options.ahead) });
    if (isRefusal(reply)) return reply;
    if (reply.amount < amount) throw new Error(`the ledger granted ${reply.amount} micro, less than the minimum of ${amount}`);
    const lease = this.#granted(reply);
    channel.leases.add(lease);
    return use(lease);
  }

  #granted({ leaseId, amount, expiresAtMs }: LeaseValue): Lease {
    const usedAtMs = this.#options.clock.nowMs();
    return { id: leaseId, granted: amount, remaining: amount, expiresAtMs, holds: new Set(), usedAtMs };
  }

  /** The ledger takes an ended lease back whole, also from under a request that it is to pay for: so holds move on while there is time. */
  async #renewHeld(): Promise<void> {
    for (const [channelId, channel] of this.#channels) {
      const ending = [...channel.leases].filter((lease) => lease.holds.size > 0 && !this.#alive(lease));
      for (const lease of ending) {
        await this.#renew(channelId, channel, lease).catch((error: unknown) => this.#options.onRenewFailed(error));
      }
    }
  }

  async #renew(channelId: Hex, channel: Channel, old: Lease): Promise<void> {
    const { source, clock, marginMs } = this.#options;
    const held = [...old.holds].reduce((sum, { amount }) => sum + amount, 0n);
    if (held === 0n) return;
    const question = { channelId, minimum: micro(held), wanted: micro(held) };
    let reply = await source.lease(question);
    if (isRefusal(reply)) {
      // The channel has not the money for both. Near the end the old one goes first: another request may take it in between, as it would at the end.
      if (old.expiresAtMs - clock.nowMs() > marginMs / 4) return;
      await source.release(old.id);
      reply = await source.lease(question);
      if (isRefusal(reply)) return this.#options.onRenewFailed(new Error(reply.message));
    }
    const lease = this.#granted(reply);
    channel.leases.add(lease);
    channel.leases.delete(old);
    for (const hold of old.holds) {
      hold.lease = lease;
      lease.holds.add(hold);
      lease.remaining -= hold.amount;
    }
    await source.release(old.id);
  }

  async #release(which: (lease: Lease) => boolean, only?: Hex): Promise<void> {
    const gone: string[] = [];
    for (const [channelId, channel] of this.#channels) {
      if (only !== undefined && channelId !== only) continue;
      for (const lease of channel.leases) {
        if (!which(lease)) continue;
        channel.leases.delete(lease);
        gone.push(lease.id);
      }
      if (only === undefined && channel.leases.size === 0 && !channel.pending) this.#channels.delete(channelId);
    }
    // A release that fails costs nothing: the ledger takes the rest back when the lease ends.
    await Promise.allSettled(gone.map((id) => this.#options.source.release(id)));
  }
}
