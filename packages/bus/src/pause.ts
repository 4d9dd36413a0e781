import { setTimeout as delay } from 'node:timers/promises';

/** Ends early, without an error, when `signal` is aborted. */
export const pause = async (ms: number, signal?: AbortSignal): Promise<void> => {
  await delay(ms, undefined, { ...(signal ? { signal } : {}), ref: false }).catch(() => undefined);
};
