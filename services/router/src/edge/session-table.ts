import type { Hex } from '@cupel/protocol/hex';
import { bytesToHex, hexToBytes } from '@cupel/protocol/hex';
import { channelIdOf } from '@cupel/protocol/ids';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import type { SessionOpen } from '@cupel/protocol/wire/receipt';

import { isRefusal } from '../admit/refusals.ts';
import type { VoucherHeader } from '../admit/voucher-header.ts';
import type { EdgeDeps } from './deps.ts';

export interface EdgeSession {
  readonly channelId: Hex;
  readonly key: Hex;
  /** Unix seconds. */
  readonly notAfter: bigint;
  /** Highest voucher that the ledger is known to hold. */
  ceiling: bigint;
  pending: { readonly amount: bigint; readonly reply: Promise<Refusal | undefined> } | undefined;
}

const CAPACITY = 10_000;

/** MAC keys agreed with gateways. Kept in memory only: after a restart a gateway is asked to agree again. */
export class SessionTable {
  readonly #deps: Pick<EdgeDeps, 'payments' | 'keccak'>;
  readonly #sessions = new Map<Hex, EdgeSession>();

  constructor(deps: Pick<EdgeDeps, 'payments' | 'keccak'>) {
    this.#deps = deps;
  }

  /** Accepts a session that the channel's signer signed, for a channel that the ledger serves. */
  async open(request: SessionOpen): Promise<Refusal | undefined> {
    const { key, ...open } = request;
    if (bytesToHex(this.#deps.keccak(hexToBytes(key, 32))) !== open.session.keyHash) {
      return refuse('invalid_field', '"key" does not hash to session.keyHash', { param: 'key' });
    }
    if (channelIdOf(this.#deps.keccak, open.descriptor) !== open.session.channelId) {
      return refuse('invalid_field', '"descriptor" does not hash to session.channelId', { param: 'descriptor' });
    }
    const accepted = await this.#deps.payments.session(open);
    if (isRefusal(accepted)) return accepted;
    const channelId = open.session.channelId;
    const ceiling = this.#sessions.get(channelId)?.ceiling ?? 0n;
    this.#sessions.delete(channelId);
    this.#sessions.set(channelId, { channelId, key, notAfter: open.session.notAfter, ceiling, pending: undefined });
    const oldest = this.#sessions.keys().next();
    if (this.#sessions.size > CAPACITY && !oldest.done) this.#sessions.delete(oldest.value);
    return undefined;
  }

  find(channelId: Hex, nowSeconds: bigint): EdgeSession | Refusal {
    const session = this.#sessions.get(channelId);
    if (!session) return refuse('session_unknown', 'no session is agreed for this channel');
    if (session.notAfter >= nowSeconds) return session;
    this.#sessions.delete(channelId);
    return refuse('session_expired', 'the session has ended');
  }

  /** Writes a voucher to the ledger unless one as high stands there. Many requests with the same one cost one write. */
  async raise(session: EdgeSession, voucher: VoucherHeader): Promise<Refusal | undefined> {
    const amount = voucher.maxClaimableAmount;
    if (amount <= session.ceiling) return undefined;
    if (session.pending?.amount === amount) return session.pending.reply;
    const reply = this.#write(session, voucher);
    session.pending = { amount, reply };
    try {
      return await reply;
    } finally {
      if (session.pending?.reply === reply) session.pending = undefined;
    }
  }

  async #write(session: EdgeSession, voucher: VoucherHeader): Promise<Refusal | undefined> {
    const accepted = await this.#deps.payments.voucher(session.channelId, voucher);
    // After a restart the ledger knows more than this table: as high or higher is as good.
    if (isRefusal(accepted) && accepted.reason !== 'voucher_not_higher') return accepted;
    if (voucher.maxClaimableAmount > session.ceiling) session.ceiling = voucher.maxClaimableAmount;
    return undefined;
  }
}
