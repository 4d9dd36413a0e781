/** 0 closed, 1 half open, 2 open. */
export type BreakerState = 0 | 1 | 2;

/** A circuit breaker per endpoint. What a client does (leaving) is no outcome of the endpoint. */
export interface Health {
  /** False while the breaker is open, or half open with its one trial on the way. */
  allows(key: string): boolean;
  begin(key: string): Ticket;
}

/** The outcome of one attempt; the first call counts. */
export interface Ticket {
  succeeded(): void;
  failed(why: string): void;
  /** Neither: the client left, or the fault was ours. */
  dropped(): void;
}
