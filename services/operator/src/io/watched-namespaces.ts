import { setTimeout as delay } from 'node:timers/promises';

import type { Client } from '@cupel/kube/client';
import { namespaces } from '@cupel/kube/resource';
import type { Logger } from '@cupel/protocol/log';

const AGAIN_MS = 5000;

const there = async (client: Pick<Client, 'list'>, wanted: readonly string[]): Promise<readonly string[]> => {
  const names = new Set((await client.list(namespaces)).items.map(({ metadata }) => metadata.name));
  return wanted.filter((name) => names.has(name));
};

/**
 * Those of the wanted namespaces that exist; waits for the first one. A namespace that is gone took our Role with it, and a list that is forbidden
 * would keep every other namespace waiting.
 */
export const existingNamespaces = async (
  client: Pick<Client, 'list'>,
  wanted: readonly string[],
  logger: Logger,
  signal: AbortSignal,
): Promise<readonly string[]> => {
  while (!signal.aborted) {
    try {
      const found = await there(client, wanted);
      if (found.length < wanted.length)
        logger.warn({ missing: wanted.filter((name) => !found.includes(name)) }, 'watched namespaces do not exist');
      if (found.length > 0) return found;
    } catch (err) {
      logger.warn({ err }, 'namespaces cannot be listed yet; trying again');
    }
    await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined);
  }
  return [];
};

/** Resolves with a namespace that was missing and now exists: it needs informers of its own, and so a new start. */
export const appearing = async (
  client: Pick<Client, 'list'>,
  missing: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> => {
  while (!signal.aborted && missing.length > 0) {
    await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined);
    const [found] = await there(client, missing).catch(() => []);
    if (found !== undefined) return found;
  }
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }));
};
