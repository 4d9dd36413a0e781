import { createHash } from 'node:crypto';
import { type Client, describe } from './client.ts';
import { differences } from './differences.ts';
import type { KubeObject, ObjectName } from './object.ts';
import { formatName, nameOf } from './object.ts';
import type { Resource } from './resource.ts';
import { type Log, type Metrics, noMetrics } from './telemetry.ts';

export interface ApplierOptions {
  readonly client: Client;
  /** Annotation that keeps the hash of what was applied last, such as `cupel.dev/applied`: a field that is no longer desired shows by it. */
  readonly annotation: string;
  readonly fieldManager?: string;
  readonly log?: Log;
  readonly metrics?: Metrics;
}

export interface Applier {
  /**
   * Makes the cluster have the desired object by server-side apply, and makes no call when `live` has it: same hash of what was applied last,
   * and no field of ours changed by others. Fields that others own are left alone.
   * @param desired every field that we own, and no status.
   * @param live the object as the store has it.
   * @throws ApiError
   */
  apply<T extends KubeObject, D extends KubeObject>(
    resource: Resource<T>,
    desired: D,
    live: T | undefined,
    options?: { readonly signal?: AbortSignal },
  ): Promise<{ changed: boolean; object: T }>;
  /** Drops what is remembered about an object that is gone. */
  forget(resource: Resource, name: ObjectName): void;
}

interface Applied {
  readonly hash: string;
  /** Version of the live object that the apply was made against, and the one that came of it. */
  readonly against: string | undefined;
  readonly result: string | undefined;
}

const mostRemembered = 20_000;

export function createApplier(options: ApplierOptions): Applier {
  const { client, annotation, log, metrics = noMetrics } = options;
  // Saves calls only; nothing is decided by it that the next reconcile would not put right.
  const remembered = new Map<string, Applied>();
  const keyOf = (resource: Resource, name: ObjectName): string => `${resource.plural}.${resource.group} ${formatName(name)}`;

  return {
    apply: async (resource, desired, live, { signal } = {}) => {
      const wanted = withData(desired);
      const hash = createHash('sha256').update(canonicalJson(wanted)).digest('hex').slice(0, 32);
      const key = keyOf(resource, nameOf(wanted));
      const drift = live === undefined ? [] : driftOf(wanted, live, annotation, hash);
      if (live !== undefined && (drift.length === 0 || answered(remembered.get(key), hash, live))) {
        metrics.count('kube_applies_total', { kind: resource.kind, outcome: 'unchanged' }, 1);
        return { changed: false, object: live };
      }
      const { metadata } = wanted;
      const body = { ...wanted, metadata: { ...metadata, annotations: { ...metadata.annotations, [annotation]: hash } } };
      const object = await client.apply(resource, body, {
        signal,
        ...(options.fieldManager === undefined ? {} : { fieldManager: options.fieldManager }),
      });
      if (remembered.size >= mostRemembered) remembered.clear();
      remembered.set(key, { hash, against: live?.metadata.resourceVersion, result: object.metadata.resourceVersion });
      metrics.count('kube_applies_total', { kind: resource.kind, outcome: 'applied' }, 1);
      log?.debug({ object: describe(wanted), drift: drift.slice(0, 10) }, 'applied');
      const lost = driftOf(wanted, object, annotation, hash);
      if (lost.length > 0)
        log?.warn({ object: describe(wanted), paths: lost.slice(0, 10) }, 'the API server did not keep these fields as applied');
      return { changed: live?.metadata.resourceVersion !== object.metadata.resourceVersion, object };
    },
    forget: (resource, name) => {
      remembered.delete(keyOf(resource, name));
    },
  };
}

function driftOf(wanted: KubeObject, live: KubeObject, annotation: string, hash: string): string[] {
  const paths = differences(wanted, live);
  return live.metadata.annotations?.[annotation] === hash ? paths : [...paths, `metadata.annotations.${annotation}`];
}

/** True when this very desire was applied to this very version before: the store lags, or the server prunes; asking again changes nothing. */
function answered(applied: Applied | undefined, hash: string, live: KubeObject): boolean {
  const { resourceVersion } = live.metadata;
  if (applied === undefined || applied.hash !== hash || resourceVersion === undefined) return false;
  return applied.result === resourceVersion || applied.against === resourceVersion;
}

/** A Secret's `stringData` is write-only; as `data` it can be compared. */
function withData<D extends KubeObject>(desired: D): D {
  if (desired.kind !== 'Secret' || !('stringData' in desired)) return desired;
  const { stringData, ...rest } = desired;
  if (typeof stringData !== 'object' || stringData === null) return desired;
  const encoded = Object.entries(stringData).map(([key, value]) => [key, Buffer.from(String(value)).toString('base64')]);
  const data = 'data' in rest && typeof rest.data === 'object' ? rest.data : {};
  return { ...desired, stringData: undefined, data: { ...data, ...Object.fromEntries(encoded) } };
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
