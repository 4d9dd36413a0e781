export interface Fees {
  /** Wei per gas. */
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
}

/** Nodes take a replacement from +10 % on both fees; an eighth more is safely above. */
const raise = (fee: bigint): bigint => fee + fee / 8n + 1n;

const larger = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const smaller = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/**
 * Fees of the next attempt with the same nonce: what the chain asks for now, and at least an eighth above the last attempt. undefined: the
 * cap does not leave room for a replacement that a node would take.
 */
export const raisedFees = (last: Fees, asked: Fees, cap: bigint): Fees | undefined => {
  const maxFeePerGas = larger(raise(last.maxFeePerGas), asked.maxFeePerGas);
  const maxPriorityFeePerGas = larger(raise(last.maxPriorityFeePerGas), asked.maxPriorityFeePerGas);
  const capped = { maxFeePerGas: smaller(maxFeePerGas, cap), maxPriorityFeePerGas: smaller(maxPriorityFeePerGas, cap) };
  return capped.maxFeePerGas < raise(last.maxFeePerGas) || capped.maxPriorityFeePerGas < raise(last.maxPriorityFeePerGas)
    ? undefined
    : capped;
};
