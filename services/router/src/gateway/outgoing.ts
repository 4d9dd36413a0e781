import type { Hex } from '@cupel/protocol/hex';
import { micro, toMicro } from '@cupel/protocol/money';
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
  /** A receipt was accepted: its cumulative amount is what is receipted now. */
  receipted(cumulative: bigint): void;
  release(): void;
}

interface Wallet {
  value: OutgoingValue | undefined;
  receipted: bigint;
  inFlight: bigint;
  refresh: Promise<OutgoingValue | Refusal> | undefined;
}

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
    for (let tries = 0; tries < 4; tries++) {
      if (this.#covers(wallet, need, require)) return this.#reserve(wallet, need);
      const wanted = wallet.inFlight + need;
      const asked = require === undefined ? 0n : toMicro(require) - wallet.receipted;
      const refreshed = await this.#refresh(wallet, payee, modelId, micro(asked > wanted ? asked : wanted));
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
    if (!wallet) this.#wallets.set(payee, (wallet = { value: undefined, receipted: 0n, inFlight: 0n, refresh: undefined }));
    return wallet;
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
      receipted(cumulative) {
        if (wallet.value?.channelId === value.channelId && cumulative > wallet.receipted) wallet.receipted = cumulative;
      },
      release() {
        if (open) wallet.inFlight -= need;
        open = false;
      },
    };
  }

  async #refresh(wallet: Wallet, payee: Hex, modelId: Hex, need: Micro): Promise<OutgoingValue | Refusal> {
    if (wallet.refresh) return wallet.refresh;
    const asking = this.#payments.outgoing({ payee, modelId, need });
    wallet.refresh = asking;
    try {
      const value = await asking;
      if (!isRefusal(value)) {
        const same = wallet.value?.channelId === value.channelId;
        wallet.receipted = same && wallet.receipted > value.receipted ? wallet.receipted : value.receipted;
        // Replies may overtake each other: a voucher never goes down.
        if (!same || value.voucher.maxClaimableAmount >= wallet.value!.voucher.maxClaimableAmount) wallet.value = value;
      }
      return value;
    } finally {
      wallet.refresh = undefined;
    }
  }
}
