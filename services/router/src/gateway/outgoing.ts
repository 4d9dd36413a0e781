import type { Hex } from '@cupel/protocol/hex';
import { micro, MICRO_PER_BASE, toMicro } from '@cupel/protocol/money';
import type { BaseUnits, Micro } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import type { Clock } from '@cupel/protocol/time';
import type { OutgoingValue } from '@cupel/protocol/wire/bus';

import { isRefusal } from '../admit/refusals.ts';
import type { GatewayPayments } from './deps.ts';

/** A reservation of money that the gateway will owe a provider. */
export interface OutgoingHold {
  readonly value: OutgoingValue;
  readonly need: Micro;
  /** A receipt was accepted: its cumulative amount is what is receipted now. Micro. */
  receipted(receipt: { readonly price: bigint; readonly cumulative: bigint }): void;
  /** The provider may have counted this request without a receipt that we took: it may ask for a voucher that covers it. */
  unknown(): void;
  release(): void;
}

interface Wallet {
  value: OutgoingValue | undefined;
  channelId: Hex | undefined;
  receipted: bigint;
  inFlight: bigint;
  /** Needs of requests on this channel that the provider may have counted and we have not. */
  unknown: bigint;
  /** Highest ceiling that was signed, and the highest by our own reckoning and not because the provider asked; micro. */
  signed: bigint;
  freely: bigint;
  refresh: Promise<OutgoingValue | Refusal> | undefined;
}

const EMPTY: Wallet = {
  value: undefined,
  channelId: undefined,
  receipted: 0n,
  inFlight: 0n,
  unknown: 0n,
  signed: 0n,
  freely: 0n,
  refresh: undefined,
};

/** A session that ends sooner is renewed first. */
const SESSION_MARGIN_S = 60n;

/**
 * How the gateway pays each provider. One voucher covers many requests: the payment service is asked only when what is receipted plus what
 * is in flight would pass the last voucher's ceiling.
 */
export class OutgoingBook {
  readonly #payments: Pick<GatewayPayments, 'outgoing'>;
  readonly #clock: Clock;
  readonly #wallets = new Map<Hex, Wallet>();

  constructor(payments: Pick<GatewayPayments, 'outgoing'>, clock: Clock) {
    this.#payments = payments;
    this.#clock = clock;
  }

  /** `require`: base units that the provider's edge asked a voucher to reach. */
  async hold(payee: Hex, modelId: Hex, need: Micro, require?: BaseUnits): Promise<OutgoingHold | Refusal> {
    const wallet = this.#wallet(payee);
    const { channelId } = wallet;
    let required = require;
    const tooMuch = (): boolean => required !== undefined && toMicro(required) > this.#mostRequired(wallet, need);
    // Another replica of ours may have paid there since we last heard.
    const first = tooMuch() ? await this.#refresh(wallet, payee, modelId, micro(wallet.inFlight + need)) : undefined;
    if (isRefusal(first)) return first;
    for (let tries = 0; tries < 4; tries++) {
      // What was asked for an old channel says nothing about a new one.
      if (wallet.channelId !== channelId) required = undefined;
      if (tooMuch()) return refuse('no_provider', `the provider asks for a voucher of ${required ?? 0n}, more than it can have counted`);
      if (this.#covers(wallet, need, required)) return this.#reserve(wallet, need);
      const wanted = wallet.inFlight + need;
      const asked = required === undefined ? 0n : toMicro(required) - wallet.receipted;
      const refreshed = await this.#refresh(wallet, payee, modelId, micro(asked > wanted ? asked : wanted), asked > wanted);
      if (isRefusal(refreshed)) return refreshed;
    }
    return refuse('no_provider', 'the gateway cannot sign a voucher that covers this request at the chosen provider');
  }

  /** The provider no longer knows the channel, or it closes: ask for another next time. */
  forget(payee: Hex): void {
    const wallet = this.#wallets.get(payee);
    if (wallet) wallet.value = undefined;
  }

  #wallet(payee: Hex): Wallet {
    let wallet = this.#wallets.get(payee);
    if (!wallet) this.#wallets.set(payee, (wallet = { ...EMPTY }));
    return wallet;
  }

  /**
   * What an honest edge may ask a voucher to reach, micro. It has counted what we have, may have counted what is in flight or stayed unknown,
   * and holds rests of leases, each smaller than the need of the request that is in flight on it: hence twice. And it has never reserved more
   * than the voucher it holds, which we gave freely, so that this request on top of that is fair too.
   */
  #mostRequired(wallet: Wallet, need: bigint): bigint {
    const counted = wallet.receipted + wallet.unknown + 2n * (wallet.inFlight + need);
    const given = wallet.freely + need;
    return (counted > given ? counted : given) + MICRO_PER_BASE;
  }

  #covers(wallet: Wallet, need: bigint, require: BaseUnits | undefined): boolean {
    if (!wallet.value) return false;
    const ceiling = toMicro(wallet.value.voucher.maxClaimableAmount);
    const nowSeconds = BigInt(Math.floor(this.#clock.nowMs() / 1000));
    return (
      wallet.receipted + wallet.inFlight + need <= ceiling &&
      (require === undefined || wallet.value.voucher.maxClaimableAmount >= require) &&
      wallet.value.session.notAfter > nowSeconds + SESSION_MARGIN_S
    );
  }

  #reserve(wallet: Wallet, need: Micro): OutgoingHold {
    const value = wallet.value!;
    wallet.inFlight += need;
    let open = true;
    return {
      value,
      need,
      receipted({ price, cumulative }) {
        if (wallet.channelId !== value.channelId || cumulative <= wallet.receipted) return;
        // What the provider counted besides this request are some of the unknown ones.
        const besides = cumulative - wallet.receipted - price;
        if (besides > 0n) wallet.unknown = besides < wallet.unknown ? wallet.unknown - besides : 0n;
        wallet.receipted = cumulative;
      },
      unknown() {
        if (wallet.channelId === value.channelId) wallet.unknown += need;
      },
      release() {
        if (open) wallet.inFlight -= need;
        open = false;
      },
    };
  }

  /** `isAsked`: the provider wants more than we count. */
  async #refresh(wallet: Wallet, payee: Hex, modelId: Hex, need: Micro, isAsked = false): Promise<OutgoingValue | Refusal> {
    if (wallet.refresh) return wallet.refresh;
    const asking = this.#payments.outgoing({ payee, modelId, need });
    wallet.refresh = asking;
    try {
      const value = await asking;
      if (!isRefusal(value)) {
        if (wallet.channelId !== value.channelId) {
          Object.assign(wallet, { ...EMPTY, channelId: value.channelId, inFlight: wallet.inFlight, refresh: wallet.refresh });
        }
        if (value.receipted > wallet.receipted) wallet.receipted = value.receipted;
        const ceiling = toMicro(value.voucher.maxClaimableAmount);
        if (ceiling > wallet.signed) {
          wallet.signed = ceiling;
          if (!isAsked) wallet.freely = ceiling;
        }
        // Replies may overtake each other: a voucher never goes down.
        if (!wallet.value || value.voucher.maxClaimableAmount >= wallet.value.voucher.maxClaimableAmount) wallet.value = value;
      }
      return value;
    } finally {
      wallet.refresh = undefined;
    }
  }
}
