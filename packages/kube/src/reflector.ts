import { ApiError, isGone } from './api-error.ts';
import type { Client, Selection } from './client.ts';
import { backoffMs, type Clock, pause } from './clock.ts';
import { type KubeObject, nameOf } from './object.ts';
import { type Resource, resourceLabel } from './resource.ts';
import type { Change, Store } from './store.ts';
import type { Log, Metrics } from './telemetry.ts';

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: Client;
  readonly resource: Resource<T>;
  readonly selection: Selection;
  readonly store: Store<T>;
  /** May throw: that is logged, and the reflector goes on. */
  readonly onChange: (change: Change<T>) => void;
  /** After the first full list. */
  readonly onSynced: () => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Objects a page; default 500. */
  readonly pageSize?: number | undefined;
  /** See WatchOptions.silenceMs. */
  readonly silenceMs?: number | undefined;
}

// Without an answer the server may be back at any moment; a refusal says that it is there and does not want us now.
const noAnswerLimits = { baseMs: 50, maxMs: 2000 };
const refusalLimits = { baseMs: 500, maxMs: 30_000 };
// A watch that lives shorter than this without an event counts as a failure, or a server that closes at once would be asked in a hot loop.
const shortestUsefulWatchMs = 1000;

/**
 * Keeps a store equal to what the API server has, until the signal aborts: a full list, then watches that go on from the last version heard,
 * whatever ends them. Lists again only after 410, without emptying the store. Never rejects.
 */
export async function reflect<T extends KubeObject>(options: ReflectorOptions<T>, signal: AbortSignal): Promise<void> {
  const { client, resource, selection, store, clock, random, log, metrics } = options;
  const label = resourceLabel(resource);
  const fields = { resource: label, ...(selection.namespace === undefined ? {} : { namespace: selection.namespace }) };
  let resourceVersion: string | undefined;
  let failures = 0;
  let refusals = 0;

  const emit = (change: Change<T> | undefined): void => {
    if (change === undefined) return;
    try {
      options.onChange(change);
    } catch (error) {
      log.error({ ...fields, err: error, name: nameOf(change.object) }, 'a change handler threw; the watch goes on');
    }
  };
  const list = async (): Promise<string> => {
    metrics.count('kube_relists_total', { resource: label }, 1);
    const full = await client.list(resource, { ...selection, pageSize: options.pageSize ?? 500, deadlineMs: 60_000, retries: 0, signal });
    for (const change of store.replaceAll(full.items, selection.namespace)) emit(change);
    metrics.gauge('kube_store_objects', { resource: label }, store.size);
    options.onSynced();
    return full.resourceVersion;
  };
  const watch = async (from: string): Promise<void> => {
    const events = client.watch(resource, {
      ...selection,
      resourceVersion: from,
      timeoutSeconds: Math.round(300 + 300 * random()),
      silenceMs: options.silenceMs,
      signal,
    });
    for await (const event of events) {
      failures = refusals = 0;
      if (event.type === 'BOOKMARK') {
        resourceVersion = event.resourceVersion;
        continue;
      }
      emit(event.type === 'DELETED' ? store.remove(nameOf(event.object)) : store.put(event.object));
      // After the store, so that what could not be stored is asked for again.
      resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion;
      metrics.gauge('kube_store_objects', { resource: label }, store.size);
    }
  };

  while (!signal.aborted) {
    const beganMs = clock.monotonicMs();
    let failure: unknown;
    try {
      if (resourceVersion === undefined) resourceVersion = await list();
      const before: string = resourceVersion;
      await watch(before);
      if (resourceVersion !== before || clock.monotonicMs() - beganMs >= shortestUsefulWatchMs) {
        failures = refusals = 0;
        continue;
      }
    } catch (error) {
      failure = error;
    }
    if (signal.aborted) return;
    const reason = failure === undefined ? 'Short' : failure instanceof ApiError ? failure.reason : 'Fault';
    metrics.count('kube_watch_failures_total', { resource: label, reason }, 1);
    // The version has left the server's history; the store stays and is compared with the new list.
    if (isGone(failure)) resourceVersion = undefined;
    // Counted apart: a server that was away for long and then refuses once, still starting, is asked again soon.
    const refused = !(failure instanceof ApiError) || (failure.status !== 0 && !isGone(failure));
    const attempt = refused ? refusals++ : failures++;
    const backoff = backoffMs(attempt, refused ? refusalLimits : noAnswerLimits, random);
    // Everyone is told the same Retry-After; spread out behind it. Only 429 is about us; a starting server's 503 asks for 5 s and is ready in one.
    const askedMs = failure instanceof ApiError && failure.status === 429 ? (failure.retryAfterMs ?? 0) * (1 + random() / 4) : 0;
    const waitMs = Math.max(askedMs, backoff);
    const level = attempt >= 3 ? 'warn' : 'debug';
    log[level]({ ...fields, err: failure, reason, waitMs: Math.round(waitMs), attempt: attempt + 1 }, 'watch ended; going on');
    await pause(clock, waitMs, signal);
  }
}
