import type { Hex } from '@cupel/protocol/hex';
import type { Keccak256 } from '@cupel/protocol/eip712';
import type { Logger } from '@cupel/protocol/log';
import type { Micro } from '@cupel/protocol/money';
import type { Refusal } from '@cupel/protocol/reasons';
import type { Clock } from '@cupel/protocol/time';
import type { ChargeRequest, ChargeValue, OutgoingValue } from '@cupel/protocol/wire/bus';
import type { HeadState, RegistryEntry, Reputation, StakeState } from '@cupel/protocol/wire/projections';
import type { ReceiptEnvelope } from '@cupel/protocol/wire/receipt';

import type { LeaseSource } from '../admit/leases.ts';
import type { Hmac } from '../admit/session-mac.ts';
import type { VoucherHeader } from '../admit/voucher-header.ts';
import type { LeastStake, WantedModel } from '../choose/candidates.ts';
import type { Health } from '../choose/health.ts';
import type { Observer } from '../meter/observer.ts';
import type { ReceiptCheckDeps } from '../meter/receipt-check.ts';
import type { Upstream } from '../stream/exchange.ts';

/** The gateway's payment service. Every call throws when it cannot be reached. */
export interface GatewayPayments extends LeaseSource {
  authenticate(apiKeySha256: string): Promise<{ readonly consumerId: string; readonly channelId?: Hex | undefined } | Refusal>;
  /** Durable before it returns. */
  voucher(channelId: Hex, voucher: VoucherHeader): Promise<{ readonly channelId: Hex } | Refusal>;
  charge(request: ChargeRequest): Promise<ChargeValue | Refusal>;
  outgoing(request: { readonly payee: Hex; readonly modelId: Hex; readonly need: Micro }): Promise<OutgoingValue | Refusal>;
  receipt(request: {
    readonly requestId: Hex;
    readonly consumerId?: string;
    readonly channelId?: Hex;
  }): Promise<{ readonly envelope: ReceiptEnvelope; readonly charged: boolean } | Refusal>;
}

/** The watcher's and the verifier's projections, as they stand now. */
export interface MarketView {
  registry(): Iterable<RegistryEntry>;
  stake(modelId: Hex): StakeState | undefined;
  reputation(modelId: Hex): Reputation | undefined;
  head(): HeadState | undefined;
}

export interface Randomness {
  bytes32(): Hex;
  /** 0 ≤ r < 1. */
  unit(): number;
}

export interface GatewayDeps {
  readonly payments: GatewayPayments;
  readonly market: MarketView;
  readonly upstream: Upstream;
  /** Why a registered endpoint may not be asked, by its text alone; what its name resolves to is checked when it is dialled. */
  readonly refuseEndpoint: (url: string) => string | undefined;
  readonly health: Health;
  readonly observer: Observer;
  readonly random: Randomness;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly keccak: Keccak256;
  readonly sha256Hex: (text: string) => string;
  readonly hmac: Hmac;
  readonly receiptCheck: ReceiptCheckDeps;
  readonly sleep: (ms: number) => Promise<void>;
}

export interface GatewayOptions {
  readonly models: Readonly<Record<string, WantedModel>>;
  readonly maxPriceMicro: Micro | undefined;
  readonly leastStake: LeastStake;
  readonly answerBytes: number;
  readonly concurrency: { readonly perTenant: number; readonly total: number };
  /** Longest wait for an answer's first byte, and between two pieces of it. */
  readonly headersTimeoutMs: number;
  readonly idleTimeoutMs: number;
}
