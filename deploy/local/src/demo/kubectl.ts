import type { Cluster } from '../cluster.ts';

/** Applies objects server-side; kubectl reads JSON as well as YAML. */
export const apply = (cluster: Cluster, objects: readonly object[]): Promise<string> =>
  cluster.kubectl(
    ['apply', '--server-side', '--force-conflicts', '--field-manager=cupel-demo', '-f', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
  );

export const getJson = async <T>(cluster: Cluster, args: readonly string[]): Promise<T> =>
  JSON.parse(await cluster.kubectl(['get', ...args, '-o', 'json'])) as T;

/** Polls until `look` returns something; says what it waited for when it gives up. */
export const waitFor = async <T>(what: string, look: () => Promise<T | undefined>, timeoutMs: number, everyMs = 250): Promise<T> => {
  const end = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen !== undefined) return seen;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`waited ${timeoutMs / 1000} s for ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
};
