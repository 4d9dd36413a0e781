import { isNotFound } from './api-error.ts';
import { type Clock, systemClock } from './clock.ts';
import { formatName, type KubeObject, nameOf, type ObjectName } from './object.ts';
import { asList, asObject } from './decode.ts';
import { collectionPath, type Resource, resourcePath, type Subresource } from './resource.ts';
import type { ApiRequest, Transport } from './transport.ts';
import { readWatch, type WatchEvent } from './watch-stream.ts';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** For all attempts together; default that of the transport. */
  readonly deadlineMs?: number | undefined;
  /** Further attempts at most; default 3. */
  readonly retries?: number | undefined;
}

export interface WriteOptions extends CallOptions {
  readonly dryRun?: boolean | undefined;
  readonly subresource?: Subresource | undefined;
  /** Default that of the client. */
  readonly fieldManager?: string | undefined;
}

export interface ApplyOptions extends WriteOptions {
  readonly subresource?: 'status' | undefined;
  /** Takes fields from other managers; else 409 tells who has them. Default true. */
  readonly force?: boolean | undefined;
}

export interface Selection {
  /** Absent: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface DeleteOptions extends CallOptions {
  /** Refused with 409 when another object has taken the name. */
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan' | undefined;
  readonly gracePeriodSeconds?: number | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface WatchOptions extends Selection {
  /** Where to go on from. */
  readonly resourceVersion: string;
  /** When the server ends the watch. */
  readonly timeoutSeconds: number;
  /** Ends the watch with reason `Silent` when the peer says nothing, not even a bookmark, for that long. Default 100 s. */
  readonly silenceMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** RFC 6902 */
export type JsonPatch = readonly (
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
)[];

/** Typed paths, raw bodies: what the server sends is passed on as it is, and what is sent is not filtered. Every method throws ApiError. */
export interface Client {
  /** `undefined` when there is none. */
  get<T extends KubeObject>(resource: Resource<T>, name: ObjectName, options?: CallOptions): Promise<T | undefined>;
  /** All pages, and the version from which to watch. */
  list<T extends KubeObject>(
    resource: Resource<T>,
    options?: Selection & CallOptions & { readonly pageSize?: number },
  ): Promise<{ items: T[]; resourceVersion: string }>;
  create<T extends KubeObject, D extends KubeObject>(resource: Resource<T>, object: D, options?: WriteOptions): Promise<T>;
  /**
   * Server-side apply: the object holds the fields that the field manager owns, all of them. `force` (default true) takes them from others.
   * Not for `scale`, which API servers refuse to apply for custom resources; use `mergePatch`.
   */
  apply<T extends KubeObject, D extends KubeObject>(resource: Resource<T>, object: D, options?: ApplyOptions): Promise<T>;
  /** PUT; the object's resourceVersion, if present, is the lock (409 when it has moved on). */
  replace<T extends KubeObject, D extends KubeObject>(resource: Resource<T>, object: D, options?: WriteOptions): Promise<T>;
  /** A failing `test` comes back as 422. */
  jsonPatch<T extends KubeObject>(resource: Resource<T>, name: ObjectName, patch: JsonPatch, options?: WriteOptions): Promise<T>;
  /** RFC 7386 */
  mergePatch<T extends KubeObject>(resource: Resource<T>, name: ObjectName, patch: unknown, options?: WriteOptions): Promise<T>;
  /** False when there was none. */
  delete(resource: Resource, name: ObjectName, options?: DeleteOptions): Promise<boolean>;
  /** Events from `resourceVersion` on, bookmarks included; throws ApiError 410 when that is too old. */
  watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
  /** Any path, for discovery: `/version`, `/apis`. */
  raw(request: ApiRequest): Promise<unknown>;
}

export interface ClientOptions {
  readonly transport: Transport;
  /** Default owner of applied fields. */
  readonly fieldManager: string;
  readonly clock?: Clock;
}

export function createClient({ transport, fieldManager, clock = systemClock }: ClientOptions): Client {
  const write = async <T extends KubeObject>(
    resource: Resource<T>,
    request: Pick<ApiRequest, 'method' | 'path' | 'contentType' | 'body' | 'idempotent'>,
    options: WriteOptions,
    query: Record<string, string | undefined> = {},
  ): Promise<T> => {
    const path = withQuery(request.path, {
      ...query,
      fieldManager: options.fieldManager ?? fieldManager,
      dryRun: options.dryRun === true ? 'All' : undefined,
    });
    return asObject(resource, await transport.send({ ...request, path, ...callOptions(options) }), path);
  };
  const patch = <T extends KubeObject>(
    resource: Resource<T>,
    name: ObjectName,
    contentType: string,
    body: unknown,
    options: WriteOptions,
  ) => write(resource, { method: 'PATCH', path: resourcePath(resource, name, options.subresource), contentType, body }, options);

  return {
    get: async (resource, name, options = {}) => {
      const path = resourcePath(resource, name);
      try {
        return asObject(resource, await transport.send({ method: 'GET', path, ...callOptions(options) }), path);
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    list: async (resource, options = {}) => {
      const { pageSize = 500 } = options;
      const items = [];
      let token: string | undefined;
      for (;;) {
        const path = withQuery(collectionPath(resource, options.namespace), {
          ...selectors(options),
          limit: String(pageSize),
          continue: token,
        });
        const page = asList(await transport.send({ method: 'GET', path, ...callOptions(options) }), path);
        for (const item of page.items) items.push(asObject(resource, item, path));
        token = page.token;
        if (token === undefined) return { items, resourceVersion: page.resourceVersion };
      }
    },
    create: (resource, object, options = {}) => {
      const path =
        options.subresource === undefined
          ? collectionPath(resource, object.metadata.namespace)
          : resourcePath(resource, nameOf(object), options.subresource);
      return write(resource, { method: 'POST', path, body: object }, options);
    },
    apply: (resource, object, options = {}) => {
      const path = resourcePath(resource, nameOf(object), options.subresource);
      const request = { method: 'PATCH', path, contentType: 'application/apply-patch+yaml', body: object, idempotent: true } as const;
      return write(resource, request, options, {
        force: options.force === false ? 'false' : 'true',
      });
    },
    replace: (resource, object, options = {}) =>
      write(resource, { method: 'PUT', path: resourcePath(resource, nameOf(object), options.subresource), body: object }, options),
    jsonPatch: (resource, name, operations, options = {}) => patch(resource, name, 'application/json-patch+json', operations, options),
    mergePatch: (resource, name, body, options = {}) => patch(resource, name, 'application/merge-patch+json', body, options),
    delete: async (resource, name, options = {}) => {
      const preconditions = definedOnly({ uid: options.uid, resourceVersion: options.resourceVersion });
      const body = definedOnly({
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        preconditions: Object.keys(preconditions).length === 0 ? undefined : preconditions,
        propagationPolicy: options.propagation ?? 'Background',
        gracePeriodSeconds: options.gracePeriodSeconds,
        dryRun: options.dryRun === true ? ['All'] : undefined,
      });
      try {
        await transport.send({ method: 'DELETE', path: resourcePath(resource, name), body, ...callOptions(options) });
        return true;
      } catch (error) {
        if (isNotFound(error)) return false;
        throw error;
      }
    },
    watch: (resource, options) => {
      const path = withQuery(collectionPath(resource, options.namespace), {
        ...selectors(options),
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: options.resourceVersion,
        timeoutSeconds: String(options.timeoutSeconds),
      });
      return readWatch(transport, resource, { path, clock, silenceMs: options.silenceMs ?? 100_000, signal: options.signal });
    },
    raw: (request) => transport.send(request),
  };
}

function selectors(selection: Selection): Record<string, string | undefined> {
  return { labelSelector: selection.labelSelector, fieldSelector: selection.fieldSelector };
}

function callOptions(options: CallOptions): Pick<ApiRequest, 'signal' | 'deadlineMs' | 'retries'> {
  return { signal: options.signal, deadlineMs: options.deadlineMs, retries: options.retries };
}

function withQuery(path: string, query: Record<string, string | undefined>): string {
  const parameters = new URLSearchParams(definedOnly(query));
  return parameters.size === 0 ? path : `${path}?${parameters.toString()}`;
}

function definedOnly<V>(record: Record<string, V | undefined>): Record<string, V> {
  const defined: Record<string, V> = {};
  for (const [key, value] of Object.entries(record)) if (value !== undefined) defined[key] = value;
  return defined;
}

/** For messages: `Deployment team-a/model`. */
export function describe(object: KubeObject): string {
  return `${object.kind} ${formatName(nameOf(object))}`;
}
