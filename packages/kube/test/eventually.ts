import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until `condition` holds; returns how long it took in ms. @throws with `what` after `timeoutMs`. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>, timeoutMs = 5000): Promise<number> {
  const beganMs = performance.now();
  while (!(await condition())) {
    if (performance.now() - beganMs > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(5);
  }
  return performance.now() - beganMs;
}
