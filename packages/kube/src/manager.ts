import type { Client } from './client.ts';
import { type Clock, pause, systemClock } from './clock.ts';
import { type Controller, type ControllerOptions, createController, type RunnableController } from './controller.ts';
import { createInformer, type Informer, type InformerOptions } from './informer.ts';
import { fencedClient, type Lease } from './lease.ts';
import type { KubeObject } from './object.ts';
import type { Resource } from './resource.ts';
import { type Log, type Metrics, noMetrics, silentLog } from './telemetry.ts';

export interface ManagerOptions {
  readonly client: Client;
  /** Absent: this process is the only one, and leads. */
  readonly lease?: Lease | undefined;
  readonly log?: Log;
  readonly metrics?: Metrics;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Time for reconciles under way when stopping; default 20 s. */
  readonly graceMs?: number;
}

/** A check for a health endpoint. */
export interface Check {
  readonly name: string;
  /** `live`: only a restart helps. `ready`: not yet, or not now. */
  readonly kind: 'live' | 'ready';
  /** What is wrong; `undefined` when all is well. */
  failure(): string | undefined;
}

export interface Manager {
  /** The client for reconcilers: its writes throw LeaseLostError while the lease is not held. */
  readonly client: Client;
  /** A store that follows a kind. Before `start`. */
  informer<T extends KubeObject>(resource: Resource<T>, options?: InformerOptions<T>): Informer<T>;
  /** Before `start`. */
  controller(options: ControllerOptions): Controller;
  /** Starts the informers; once they hold everything, and while the lease is held, the controllers. Resolves when the stores are filled or `stop` was called. */
  start(): Promise<void>;
  checks(): Check[];
  /** Lets reconciles finish, gives the lease back, ends the watches. May be called more than once. */
  stop(): Promise<void>;
}

// How long a reconcile may go on after its signal has aborted before the process counts as stuck.
const stuckAfterMs = 60_000;

interface Term {
  readonly drain: AbortController;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

export function createManager(options: ManagerOptions): Manager {
  const { lease, log = silentLog, metrics = noMetrics, clock = systemClock, random = Math.random, graceMs = 20_000 } = options;
  const dependencies = { client: options.client, clock, random, log, metrics };
  const informers: { informer: Informer<KubeObject>; run: (signal: AbortSignal) => Promise<void> }[] = [];
  const controllers: RunnableController[] = [];
  const watching = new AbortController();
  const leading = new AbortController();
  const tasks: Promise<void>[] = [];
  let started = false;
  let stopping: Promise<void> | undefined;
  let term: Term | undefined;

  const beginTerm = (): void => {
    const drain = new AbortController();
    const abort = new AbortController();
    const before = term?.done ?? Promise.resolve();
    // Two terms never overlap: a reconcile that has not noticed its abort keeps the next term waiting, and the live check tells.
    const done = before.then(async () => {
      if (drain.signal.aborted) return;
      log.info({ controllers: controllers.map(({ name }) => name) }, 'controllers start');
      await Promise.all(controllers.map((controller) => controller.run({ drain: drain.signal, abort: abort.signal })));
    });
    term = { drain, abort, done };
  };
  const endTerm = (): void => {
    term?.drain.abort();
    term?.abort.abort(new Error('the lease is lost'));
  };
  const allSynced = (): Promise<unknown> => Promise.all(informers.map(({ informer }) => informer.whenSynced()));
  const stopped = new Promise<void>((resolve) => watching.signal.addEventListener('abort', () => resolve(), { once: true }));
  const mustNotRun = (what: string): void => {
    if (started) throw new Error(`${what} was added after start; add every informer and controller before`);
  };

  const stop = async (): Promise<void> => {
    if (term !== undefined) {
      term.drain.abort();
      const finished = await within(term.done, graceMs);
      term.abort.abort(new Error('the process ends'));
      if (!finished && !(await within(term.done, 2000))) log.warn({ graceMs }, 'reconciles were still under way at the end');
    }
    leading.abort();
    watching.abort();
    await Promise.all(tasks);
  };
  const within = async (work: Promise<void>, ms: number): Promise<boolean> => {
    const timer = new AbortController();
    const first = await Promise.race([work.then(() => true), pause(clock, ms, timer.signal).then(() => false)]);
    timer.abort();
    return first;
  };

  return {
    client: lease === undefined ? options.client : fencedClient(options.client, lease),
    informer: (resource, informerOptions) => {
      mustNotRun(`an informer for ${resource.plural}`);
      const informer = createInformer(dependencies, resource, informerOptions);
      informers.push({ informer, run: informer.run });
      return informer;
    },
    controller: (controllerOptions) => {
      mustNotRun(`controller ${controllerOptions.name}`);
      const controller = createController(dependencies, controllerOptions);
      controllers.push(controller);
      return controller;
    },
    start: async () => {
      mustNotRun('a second start');
      started = true;
      for (const { run } of informers) tasks.push(run(watching.signal));
      await Promise.race([allSynced(), stopped]);
      if (stopping !== undefined) return;
      if (lease === undefined) beginTerm();
      else tasks.push(lease.run(leading.signal, { onHeld: beginTerm, onLost: endTerm }));
    },
    checks: () => [
      ...informers.map(({ informer }): Check => ({
        name: `informer ${informer.label}`,
        kind: 'ready',
        failure: () =>
          informer.synced() ? undefined : `the store of ${informer.label} is not filled yet; is the API server reachable and list allowed?`,
      })),
      ...controllers.map((controller): Check => ({
        name: `controller ${controller.name}`,
        kind: 'live',
        failure: () => {
          const ms = controller.longestRunningMs();
          return ms > controller.timeoutMs + stuckAfterMs ? `a reconcile has been under way for ${Math.round(ms / 1000)} s` : undefined;
        },
      })),
    ],
    stop: () => (stopping ??= stop()),
  };
}
