import type { Hex } from '@cupel/protocol/hex';
import type { Keccak256 } from '@cupel/protocol/eip712';
import type { Logger } from '@cupel/protocol/log';
import type { Refusal } from '@cupel/protocol/reasons';
import type { Clock } from '@cupel/protocol/time';
import type { ChargeRequest, ChargeValue, Engine } from '@cupel/protocol/wire/bus';
import type { ReceiptEnvelope, SessionOpen } from '@cupel/protocol/wire/receipt';

import type { LeaseSource } from '../admit/leases.ts';
import type { EqualBytes, Hmac } from '../admit/session-mac.ts';
import type { VoucherHeader } from '../admit/voucher-header.ts';
import type { Observer } from '../meter/observer.ts';
import type { Upstream } from '../stream/exchange.ts';

/** The edge's payment service. Every call throws when it cannot be reached. */
export interface EdgePayments extends LeaseSource {
  session(open: Omit<SessionOpen, 'key'>): Promise<{ readonly channelId: Hex; readonly notAfter: bigint } | Refusal>;
  /** Durable before it returns. */
  voucher(channelId: Hex, voucher: VoucherHeader): Promise<{ readonly channelId: Hex } | Refusal>;
  /** Assigns the cumulative amount and signs the receipt. */
  charge(request: ChargeRequest): Promise<ChargeValue | Refusal>;
  receipt(request: { readonly requestId: Hex; readonly channelId: Hex }): Promise<{ readonly envelope: ReceiptEnvelope } | Refusal>;
}

export interface EdgeDeps {
  readonly payments: EdgePayments;
  /** What the operator says of this edge's engines, as it stands now. */
  readonly engines: () => readonly Engine[];
  readonly upstream: Upstream;
  readonly observer: Observer;
  /** A seed for an answer whose client named none: 0 … 2^31−1. */
  readonly seed: () => number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly keccak: Keccak256;
  readonly hmac: Hmac;
  readonly equalBytes: EqualBytes;
  readonly sleep: (ms: number) => Promise<void>;
}

export interface EdgeOptions {
  readonly answerBytes: number;
  readonly concurrency: { readonly perTenant: number; readonly total: number };
  /** Requests that are still being read, before their sender is proven; `perTenant`: per remote address. */
  readonly arriving: { readonly perTenant: number; readonly total: number };
  readonly headersTimeoutMs: number;
  readonly idleTimeoutMs: number;
}
