import { randomUUID } from 'node:crypto';
import { isConflict, isNotFound } from './api-error.ts';
import type { CallOptions, Client } from './client.ts';
import { type Clock, pause, systemClock } from './clock.ts';
import type { KubeObject } from './object.ts';
import { defineResource } from './resource.ts';
import { type Log, type Metrics, noMetrics, silentLog } from './telemetry.ts';

interface LeaseObject extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string | undefined;
    readonly leaseDurationSeconds?: number | undefined;
    readonly acquireTime?: string | undefined;
    readonly renewTime?: string | undefined;
    readonly leaseTransitions?: number | undefined;
  };
}

const leaseObjects = defineResource<LeaseObject>({
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
});

export interface LeaseOptions {
  /** One with a transport of its own: renewals must not wait behind other calls. */
  readonly client: Client;
  readonly namespace: string;
  readonly name: string;
  /** For people, such as the pod's name; a random part is added, so that a restarted process is never taken for its predecessor. */
  readonly identity: string;
  /** Others may take over when they have seen no renewal for that long. Default 10 s. */
  readonly durationMs?: number;
  /** The holder stops when it could not renew for that long. Default 6 s. */
  readonly renewDeadlineMs?: number;
  /** Time between tries. Default 1.5 s. */
  readonly retryMs?: number;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly log?: Log;
  readonly metrics?: Metrics;
}

/** Leadership by a coordination.k8s.io/v1 Lease. Only durations of the local monotonic clock count, never the timestamps of others. */
export interface Lease {
  /** The fencing check: true while nobody else can have taken over and we still mean to lead. */
  held(): boolean;
  /** How long from now on nobody else can take over; 0 when the lease is not held. The deadline of a write under the lease. */
  validForMs(): number;
  /** Competes until the signal aborts, then gives the lease back. `onLost` also comes when it is given back. Never rejects. */
  run(signal: AbortSignal, events: { readonly onHeld: () => void; readonly onLost: () => void }): Promise<void>;
  readonly identity: string;
}

export function createLease(options: LeaseOptions): Lease {
  const { client, namespace, name, clock = systemClock, random = Math.random, log = silentLog, metrics = noMetrics } = options;
  const { durationMs = 10_000, renewDeadlineMs = 6000, retryMs = 1500 } = options;
  if (!(retryMs < renewDeadlineMs && renewDeadlineMs < durationMs))
    throw new Error(`lease ${name}: need retryMs < renewDeadlineMs < durationMs, got ${retryMs}, ${renewDeadlineMs}, ${durationMs}`);
  const identity = `${options.identity}_${randomUUID()}`;
  const key = { namespace, name };
  // Start of the request that renewed last: others count from a later moment.
  let renewedAtMs = Number.NEGATIVE_INFINITY;
  let mine: LeaseObject | undefined;
  let seen: { version: string | undefined; atMs: number } | undefined;

  const sinceRenewalMs = (): number => clock.monotonicMs() - renewedAtMs;
  const held = (): boolean => mine !== undefined && sinceRenewalMs() < renewDeadlineMs;
  const callOptions = (): CallOptions => {
    const leftMs = held() ? renewDeadlineMs - sinceRenewalMs() : renewDeadlineMs;
    return { deadlineMs: Math.max(100, Math.min(leftMs, renewDeadlineMs / 2)), retries: 0 };
  };
  const body = (live: LeaseObject | undefined, spec: LeaseObject['spec']): LeaseObject => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: live === undefined ? key : live.metadata,
    spec: { ...live?.spec, ...spec },
  });
  const microTime = (): string => new Date(clock.wallMs()).toISOString().replace('Z', '000Z');
  const claim = (live: LeaseObject | undefined): LeaseObject => {
    const already = live?.spec?.holderIdentity === identity;
    const now = microTime();
    return body(live, {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(durationMs / 1000),
      renewTime: now,
      ...(already ? {} : { acquireTime: now, leaseTransitions: (live?.spec?.leaseTransitions ?? -1) + 1 }),
    });
  };
  /** True when the lease is free to take: none, given back, ours, or not renewed for the time that its holder promised. */
  const isFree = (live: LeaseObject | undefined): boolean => {
    const holder = live?.spec?.holderIdentity ?? '';
    const version = live?.metadata.resourceVersion;
    if (seen === undefined || seen.version !== version) seen = { version, atMs: clock.monotonicMs() };
    if (holder === '' || holder === identity) return true;
    const promisedMs = Math.max((live?.spec?.leaseDurationSeconds ?? 0) * 1000, durationMs);
    return clock.monotonicMs() - seen.atMs >= promisedMs;
  };
  const write = async (live: LeaseObject | undefined): Promise<void> => {
    const beganMs = clock.monotonicMs();
    mine =
      live === undefined
        ? await client.create(leaseObjects, claim(undefined), callOptions())
        : await client.replace(leaseObjects, claim(live), callOptions());
    renewedAtMs = beganMs;
  };
  const readAndTake = async (): Promise<void> => {
    const live = await client.get(leaseObjects, key, callOptions());
    if (live?.spec?.holderIdentity !== identity) mine = undefined;
    if (isFree(live)) await write(live);
  };
  const tryOnce = async (): Promise<void> => {
    if (mine === undefined) return readAndTake();
    try {
      await write(mine);
    } catch (error) {
      // Someone took it; or touched it; or our last renewal was stored and its answer was lost. Only reading tells.
      if (!isConflict(error) && !isNotFound(error)) throw error;
      await readAndTake();
    }
  };
  const giveBack = async (): Promise<void> => {
    if (mine === undefined || !held()) return;
    const free = body(mine, { holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime() });
    mine = undefined;
    try {
      await client.replace(leaseObjects, free, { deadlineMs: 2000, retries: 0 });
    } catch (error) {
      log.warn({ lease: name, err: error }, `the lease could not be given back; others wait ${durationMs} ms`);
    }
  };

  return {
    identity,
    held,
    validForMs: () => (held() ? Math.max(0, durationMs - sinceRenewalMs()) : 0),
    run: async (signal, events) => {
      let leading = false;
      const settle = (): void => {
        const now = held();
        if (now === leading) return;
        leading = now;
        metrics.gauge('kube_lease_held', { lease: name }, now ? 1 : 0);
        log.info({ lease: name, identity }, now ? 'lease held' : 'lease lost');
        if (now) events.onHeld();
        else events.onLost();
      };
      while (!signal.aborted) {
        try {
          await tryOnce();
        } catch (error) {
          log.warn({ lease: name, err: error, leading }, 'the lease could not be read or renewed');
        }
        settle();
        if (!held()) mine = undefined;
        await pause(clock, held() ? Math.min(retryMs, renewDeadlineMs - sinceRenewalMs()) : retryMs * (0.8 + random() * 0.4), signal);
        settle();
      }
      await giveBack();
      settle();
    },
  };
}

/** A write was refused here, before it was sent, because the lease is not held any more. The next holder does it. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
  constructor(action: string) {
    super(`${action}: not sent, the lease is not held`);
  }
}

/** The same client, whose writes throw LeaseLostError unless the lease is held, and end before anybody else can hold it. */
export function fencedClient(client: Client, lease: Pick<Lease, 'held' | 'validForMs'>): Client {
  const fenced = <O extends CallOptions>(action: string, options: O | undefined): O & { readonly deadlineMs: number } => {
    const validMs = lease.validForMs();
    if (!lease.held() || validMs <= 0) throw new LeaseLostError(action);
    return { ...(options ?? ({} as O)), deadlineMs: Math.min(options?.deadlineMs ?? validMs, validMs) };
  };
  return {
    get: client.get,
    list: client.list,
    watch: client.watch,
    create: async (resource, object, options) => client.create(resource, object, fenced(`create ${resource.kind}`, options)),
    apply: async (resource, object, options) => client.apply(resource, object, fenced(`apply ${resource.kind}`, options)),
    replace: async (resource, object, options) => client.replace(resource, object, fenced(`replace ${resource.kind}`, options)),
    jsonPatch: async (resource, name, patch, options) => client.jsonPatch(resource, name, patch, fenced(`patch ${resource.kind}`, options)),
    mergePatch: async (resource, name, patch, options) =>
      client.mergePatch(resource, name, patch, fenced(`patch ${resource.kind}`, options)),
    delete: async (resource, name, options) => client.delete(resource, name, fenced(`delete ${resource.kind}`, options)),
    raw: async (request) => client.raw(request.method === 'GET' ? request : fenced(`${request.method} ${request.path}`, request)),
  };
}
