/** Time comes in as an argument: rooms never read a clock. */
export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
}

export const unixSeconds = (ms: number): bigint => BigInt(Math.floor(ms / 1000));
