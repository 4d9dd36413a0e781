import type { Hex } from '@cupel/protocol/hex';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import type { Clock } from '@cupel/protocol/time';

import { credentialOf } from '../admit/credentials.ts';
import type { Headers } from '../admit/credentials.ts';
import { isRefusal } from '../admit/refusals.ts';
import type { GatewayPayments } from './deps.ts';

/** Who pays for a request. */
export interface Tenant {
  /** Keys limits and prefix affinity. */
  readonly id: string;
  readonly consumerId: string | undefined;
  readonly channelId: Hex;
}

interface Known {
  readonly result: Tenant | Refusal;
  readonly untilMs: number;
}

const KNOWN_MS = 30_000;
/** Shorter: a key that is wrong now may be made in a moment. */
const REFUSED_MS = 2_000;
const CAPACITY = 10_000;

/**
 * API keys by their sha256 (only that is compared, kept and sent: a look-up by hash leaks no prefix of a key by its time), and signed
 * vouchers, which the ledger verifies and writes before the request is served.
 */
export class Authenticator {
  readonly #payments: GatewayPayments;
  readonly #clock: Clock;
  readonly #sha256Hex: (text: string) => string;
  readonly #known = new Map<string, Known>();

  constructor(deps: { readonly payments: GatewayPayments; readonly clock: Clock; readonly sha256Hex: (text: string) => string }) {
    this.#payments = deps.payments;
    this.#clock = deps.clock;
    this.#sha256Hex = deps.sha256Hex;
  }

  async authenticate(headers: Headers): Promise<Tenant | Refusal> {
    const credential = credentialOf(headers);
    if (isRefusal(credential)) return credential;
    if (credential.kind === 'apiKey') return this.#byKey(this.#sha256Hex(credential.apiKey));
    const accepted = await this.#payments.voucher(credential.channelId, credential.voucher);
    if (isRefusal(accepted)) return accepted;
    return { id: `channel ${credential.channelId}`, consumerId: undefined, channelId: credential.channelId };
  }

  /** A refusal by the ledger may mean that what is known here is old. */
  forget(channelId: Hex): void {
    for (const [key, { result }] of this.#known) if (!isRefusal(result) && result.channelId === channelId) this.#known.delete(key);
  }

  async #byKey(sha256: string): Promise<Tenant | Refusal> {
    const now = this.#clock.nowMs();
    const known = this.#known.get(sha256);
    if (known && known.untilMs > now) return known.result;
    const reply = await this.#payments.authenticate(sha256);
    const result: Tenant | Refusal = isRefusal(reply)
      ? reply
      : reply.channelId === undefined
        ? refuse('no_channel', 'this API key has no payment channel yet')
        : { id: `consumer ${reply.consumerId}`, consumerId: reply.consumerId, channelId: reply.channelId };
    this.#known.delete(sha256);
    // A missing channel is about to be registered: asked anew each time.
    if (isRefusal(result) && result.reason !== 'invalid_api_key') return result;
    this.#known.set(sha256, { result, untilMs: now + (isRefusal(result) ? REFUSED_MS : KNOWN_MS) });
    const oldest = this.#known.keys().next();
    if (this.#known.size > CAPACITY && !oldest.done) this.#known.delete(oldest.value);
    return result;
  }
}
