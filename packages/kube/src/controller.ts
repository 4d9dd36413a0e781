import type { Clock } from './clock.ts';
import type { Watch } from './informer.ts';
import { formatName, type ObjectName, parseName } from './object.ts';
import { createQueue, type Queue } from './queue.ts';
import type { Log, Metrics } from './telemetry.ts';

export interface ReconcileContext {
  /** Aborts when the time is up, the lease is lost, or the process has to end. */
  readonly signal: AbortSignal;
  /** Adds controller and name to every line. */
  readonly log: Log;
}

export interface ReconcileResult {
  /** Reconcile again then even if nothing happens; absent: only after a change. */
  readonly lookAgainInMs?: number | undefined;
}

/** Brings one name nearer to what is wanted. Gets a name only; may run twice, late, or after a crash; remembers nothing. */
export type Reconcile = (name: ObjectName, context: ReconcileContext) => Promise<ReconcileResult>;

/** Thrown by a reconcile to say that trying again is useless until something changes. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';
}

export interface ControllerOptions {
  /** Label in log and metrics. */
  readonly name: string;
  readonly watches: readonly Watch[];
  readonly reconcile: Reconcile;
  /** Names at once; default 8. */
  readonly concurrency?: number;
  /** Every name of the stores is looked at again about this often (a random three to five quarters); default 10 min. */
  readonly resyncMs?: number;
  /** Time for one reconcile, after which its signal aborts; default 2 min. */
  readonly timeoutMs?: number;
  /** Back-off after failures; see QueueOptions. */
  readonly backoff?: { readonly baseMs?: number; readonly maxMs?: number };
}

export interface Controller {
  readonly name: string;
  /** For triggers from elsewhere, such as the bus; without effect while the controller does not run, since it starts with every name. */
  enqueue(name: ObjectName): void;
}

export interface ControllerDependencies {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface RunnableController extends Controller {
  readonly watches: readonly Watch[];
  /**
   * Reconciles every known name, then after each change, until `drain` aborts; resolves when the last reconcile has ended. `abort` aborts the
   * reconciles under way. Never rejects. Not to be called again before it has resolved.
   */
  run(signals: { readonly drain: AbortSignal; readonly abort: AbortSignal }): Promise<void>;
  /** Longest time that a reconcile has been under way, in ms; 0 when none is. */
  longestRunningMs(): number;
  readonly timeoutMs: number;
}

export function createController(dependencies: ControllerDependencies, options: ControllerOptions): RunnableController {
  const { clock, random, metrics } = dependencies;
  const { name, watches, reconcile, concurrency = 8, resyncMs = 600_000, timeoutMs = 120_000 } = options;
  const labels = { controller: name };
  const running = new Map<string, number>();
  let queue: Queue | undefined;

  const once = async (active: Queue, key: string, abort: AbortSignal): Promise<void> => {
    const log = withFields(dependencies.log, { controller: name, name: key });
    const control = new AbortController();
    const follow = (): void => control.abort(abort.reason);
    if (abort.aborted) follow();
    abort.addEventListener('abort', follow, { once: true });
    const beganMs = clock.monotonicMs();
    running.set(key, beganMs);
    const cancel = clock.after(timeoutMs, () => {
      log.warn({ timeoutMs }, 'reconcile takes too long; its signal aborts');
      control.abort(new Error(`reconcile took longer than ${timeoutMs} ms`));
    });
    let outcome = 'success';
    try {
      const { lookAgainInMs } = await reconcile(parseName(key), { signal: control.signal, log });
      active.succeeded(key, lookAgainInMs);
    } catch (error) {
      if (error instanceof TerminalError) {
        outcome = 'terminal';
        log.error({ err: error }, 'reconcile failed for good; waiting for a change');
        active.succeeded(key);
      } else {
        outcome = 'error';
        const waitMs = active.failed(key);
        log.warn({ err: error, waitMs: Math.round(waitMs) }, 'reconcile failed; trying again');
      }
    } finally {
      cancel();
      abort.removeEventListener('abort', follow);
      running.delete(key);
      metrics.count('kube_reconciles_total', { controller: name, outcome }, 1);
      metrics.observe('kube_reconcile_seconds', labels, (clock.monotonicMs() - beganMs) / 1000);
    }
  };
  const work = async (active: Queue, abort: AbortSignal): Promise<void> => {
    for (;;) {
      const key = await active.take();
      if (key === undefined) return;
      await once(active, key, abort);
    }
  };

  return {
    name,
    watches,
    timeoutMs,
    enqueue: (object) => queue?.add(formatName(object)),
    longestRunningMs: () => {
      const nowMs = clock.monotonicMs();
      return Math.max(0, ...[...running.values()].map((beganMs) => nowMs - beganMs));
    },
    run: async ({ drain, abort }) => {
      if (drain.aborted) return;
      const active = createQueue({ name, clock, random, metrics, ...options.backoff });
      queue = active;
      const everything = (): void => {
        for (const watch of watches) for (const object of watch.all()) active.add(formatName(object));
      };
      const unsubscribe = watches.map((watch) => watch.subscribe((object) => active.add(formatName(object))));
      let cancelResync = (): void => {};
      const resync = (): void => {
        cancelResync = clock.after(resyncMs * (0.75 + random() / 2), () => {
          everything();
          resync();
        });
      };
      resync();
      everything();
      const stop = (): void => active.shutDown();
      drain.addEventListener('abort', stop, { once: true });
      await Promise.all(Array.from({ length: concurrency }, () => work(active, abort)));
      drain.removeEventListener('abort', stop);
      cancelResync();
      for (const end of unsubscribe) end();
      queue = undefined;
    },
  };
}

function withFields(log: Log, more: Readonly<Record<string, unknown>>): Log {
  return {
    debug: (fields, message) => log.debug({ ...more, ...fields }, message),
    info: (fields, message) => log.info({ ...more, ...fields }, message),
    warn: (fields, message) => log.warn({ ...more, ...fields }, message),
    error: (fields, message) => log.error({ ...more, ...fields }, message),
  };
}
