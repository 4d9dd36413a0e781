import type { Hex } from '@cupel/protocol/hex';

/** Pauses after failures, by receipt: 1 s, doubling to a minute. Forgotten at a restart, which is a try by itself. */
export const createRetries = (nowMs: () => number) => {
  const failed = new Map<Hex, { readonly tries: number; readonly notBefore: number }>();
  return {
    isDue: (digest: Hex): boolean => (failed.get(digest)?.notBefore ?? 0) <= nowMs(),
    /** How often it has failed now. */
    failed(digest: Hex): number {
      const tries = (failed.get(digest)?.tries ?? 0) + 1;
      failed.set(digest, { tries, notBefore: nowMs() + Math.min(60_000, 1000 * 2 ** (tries - 1)) });
      return tries;
    },
    done: (digest: Hex): void => void failed.delete(digest),
  };
};
