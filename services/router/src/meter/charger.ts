import type { Hex } from '@cupel/protocol/hex';
import type { Logger } from '@cupel/protocol/log';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import type { ChargeRequest, ChargeValue } from '@cupel/protocol/wire/bus';

import type { Hold, LeaseBook } from '../admit/leases.ts';
import { isRefusal } from '../admit/refusals.ts';

/** Together about the time that a payment process needs to come back. */
const PAUSES_MS = [100, 300, 1000, 2000, 4000, 8000];

export interface ChargerDeps {
  readonly charge: (request: ChargeRequest) => Promise<ChargeValue | Refusal>;
  readonly leases: LeaseBook;
  readonly sleep: (ms: number) => Promise<void>;
  readonly logger: Logger;
}

/**
 * Closes a hold at the true price. The ledger takes each requestId once, so asking again after a reply that never came is safe: the
 * outcome is unknown only until the ledger answers.
 */
export class Charger {
  readonly #deps: ChargerDeps;

  constructor(deps: ChargerDeps) {
    this.#deps = deps;
  }

  /** The hold is settled on success and cancelled otherwise. */
  async close(hold: Hold, channelId: Hex, request: Omit<ChargeRequest, 'leaseId'>): Promise<ChargeValue | Refusal> {
    const first = await this.#patiently(hold, request);
    if (!isRefusal(first)) {
      hold.settle(request.price);
      return first;
    }
    hold.cancel();
    if (first.reason === 'ledger_unavailable' || first.reason === 'request_replayed') return first;
    // The lease may have ended while a long answer ran: what was delivered is charged on a fresh one.
    this.#deps.leases.discard(hold.leaseId);
    const again = await this.#deps.leases.hold(channelId, request.price).catch(() => undefined);
    if (again === undefined || isRefusal(again)) return first;
    const second = await this.#patiently(again, request);
    if (isRefusal(second)) again.cancel();
    else again.settle(request.price);
    return second;
  }

  /** The lease is read anew for each try: the hold may have moved to another one. */
  async #patiently(hold: Hold, request: Omit<ChargeRequest, 'leaseId'>): Promise<ChargeValue | Refusal> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.#deps.charge({ ...request, leaseId: hold.leaseId });
      } catch (err) {
        const pause = PAUSES_MS[tries];
        this.#deps.logger.warn({ err, requestId: request.requestId, tries }, 'the ledger did not answer a charge');
        if (pause === undefined) return refuse('ledger_unavailable', 'the ledger did not answer in time');
        await this.#deps.sleep(pause);
      }
    }
  }
}
