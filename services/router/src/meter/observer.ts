import type { Micro } from '@cupel/protocol/money';
import type { Reason } from '@cupel/protocol/reasons';

/** How a request ended: served, refused with a reason, or left by its client. */
export type RequestOutcome = 'ok' | 'client_left' | Reason;

/** How one attempt at a provider ended. */
export type AttemptOutcome =
  | 'ok'
  | 'left'
  | 'refused_address'
  | 'connect'
  | 'timeout'
  | 'cut'
  | 'too_large'
  | 'aborted'
  | 'status'
  | 'receipt'
  | 'payment'
  | 'session';

/** What the flows report for metrics. */
export interface Observer {
  request(kind: 'chat' | 'integer', outcome: RequestOutcome): void;
  firstByte(kind: 'chat' | 'integer', ms: number): void;
  inFlight(count: number): void;
  attempt(outcome: AttemptOutcome): void;
  billed(kind: 'chat' | 'integer', inputUnits: bigint, outputUnits: bigint, price: Micro): void;
  /** A provider signed a receipt for what never arrived whole; nothing was charged for it. */
  unfitReceipt(why: string): void;
}
