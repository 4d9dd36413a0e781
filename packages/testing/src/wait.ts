import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks `probe` every 20 ms until it gives something other than undefined and false; a throw counts as "not yet". Throws after `timeoutMs`
 * with `what` and the last error.
 */
export const eventually = async <T>(
  what: string,
  probe: () => T | Promise<T>,
  timeoutMs = 10_000,
): Promise<Exclude<T, undefined | false>> => {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < deadline) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
    } catch (error) {
      last = error;
    }
    await delay(20);
  }
  throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: last });
};
