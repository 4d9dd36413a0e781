import { ApiError, errorFromStatus } from './api-error.ts';
import type { Clock } from './clock.ts';
import { asObject } from './decode.ts';
import type { KubeObject } from './object.ts';
import type { Resource } from './resource.ts';
import type { Transport } from './transport.ts';

/** A bookmark carries a resourceVersion and nothing else. */
export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

// etcd refuses objects above 1.5 MB; a longer line is no event.
const longestLineBytes = 16 * 1024 * 1024;

/**
 * Events of one watch request. Ends when the server ends it or the signal aborts.
 * @throws ApiError the server's ERROR event (410 `Expired` among them), `Unreachable` when the connection breaks, `Silent` when nothing came
 * for `silenceMs`.
 */
export async function* readWatch<T extends KubeObject>(
  transport: Transport,
  resource: Resource<T>,
  options: { readonly path: string; readonly clock: Clock; readonly silenceMs: number; readonly signal: AbortSignal | undefined },
): AsyncGenerator<WatchEvent<T>> {
  const { path, clock, silenceMs, signal } = options;
  const controller = new AbortController();
  const follow = (): void => controller.abort(signal?.reason);
  if (isAborted(signal)) return;
  signal?.addEventListener('abort', follow, { once: true });
  let silent = false;
  let heardAt = clock.monotonicMs();
  // One timer that re-arms itself is cheaper than a new one per event.
  const guard = (ms: number): (() => void) =>
    clock.after(ms, () => {
      const quietMs = clock.monotonicMs() - heardAt;
      if (quietMs < silenceMs) {
        cancel = guard(silenceMs - quietMs);
        return;
      }
      silent = true;
      controller.abort(new Error('silent'));
    });
  let cancel = guard(silenceMs);
  try {
    const chunks = await transport.open({ path, signal: controller.signal });
    for await (const line of splitLines(heard(chunks), path)) yield parseEvent(resource, line, path);
  } catch (error) {
    if (silent) throw new ApiError({ status: 0, reason: 'Silent', message: `${path}: nothing heard for ${silenceMs} ms`, cause: error });
    if (isAborted(signal)) return;
    throw error;
  } finally {
    cancel();
    signal?.removeEventListener('abort', follow);
    controller.abort();
  }

  async function* heard(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      heardAt = clock.monotonicMs();
      yield chunk;
    }
  }
}

// A call, so that the compiler does not take the answer from before an await for the answer after it.
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

async function* splitLines(chunks: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<string> {
  const newline = 0x0a;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      pending.push(chunk.subarray(from, at));
      const line = Buffer.concat(pending).toString('utf8');
      pending = [];
      pendingBytes = 0;
      from = at + 1;
      if (line.trim() !== '') yield line;
    }
    if (from === chunk.length) continue;
    pending.push(chunk.subarray(from));
    pendingBytes += chunk.length - from;
    if (pendingBytes > longestLineBytes)
      throw new ApiError({ status: 0, reason: 'Malformed', message: `${path}: a watch event is longer than ${longestLineBytes} bytes` });
  }
}

function parseEvent<T extends KubeObject>(resource: Resource<T>, line: string, path: string): WatchEvent<T> {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch (cause) {
    throw new ApiError({ status: 0, reason: 'Malformed', message: `${path}: a watch event is not JSON`, cause });
  }
  if (typeof event !== 'object' || event === null || !('type' in event) || !('object' in event))
    throw new ApiError({ status: 0, reason: 'Malformed', message: `${path}: a watch event lacks type or object` });
  const { type, object } = event;
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type, object: asObject(resource, object, path) };
    case 'BOOKMARK':
      return { type, resourceVersion: bookmarkVersion(object, path) };
    case 'ERROR':
      throw errorFromStatus(`watch ${path.split('?', 1)[0]}`, object);
    default:
      throw new ApiError({ status: 0, reason: 'Malformed', message: `${path}: unknown watch event type ${String(type)}` });
  }
}

function bookmarkVersion(object: unknown, path: string): string {
  if (typeof object === 'object' && object !== null && 'metadata' in object) {
    const { metadata } = object;
    if (typeof metadata === 'object' && metadata !== null && 'resourceVersion' in metadata && typeof metadata.resourceVersion === 'string')
      return metadata.resourceVersion;
  }
  throw new ApiError({ status: 0, reason: 'Malformed', message: `${path}: a bookmark lacks metadata.resourceVersion` });
}
