import { randomUUID } from 'node:crypto';
import { isNotFound } from './api-error.ts';
import type { Client } from './client.ts';
import { type Clock, systemClock } from './clock.ts';
import { type KubeObject, nameOf } from './object.ts';
import { events } from './resource.ts';
import { type Log, type Metrics, noMetrics, silentLog } from './telemetry.ts';

/** One thing to tell about an object. */
export interface EventFacts {
  readonly type: 'Normal' | 'Warning';
  /** PascalCase, why: `WorkloadReady`. At most 128 characters. */
  readonly reason: string;
  /** PascalCase, what was done: `Apply`. At most 128 characters. */
  readonly action: string;
  /** For people; cut at 1,024 bytes, which is what API servers take. No secrets. */
  readonly note: string;
  readonly related?: KubeObject | undefined;
}

export interface RecorderOptions {
  readonly client: Client;
  /** `cupel.dev/operator` */
  readonly controller: string;
  /** The pod's name. */
  readonly instance: string;
  readonly clock?: Clock;
  readonly log?: Log;
  readonly metrics?: Metrics;
  /** Events about one object at once; default 25. */
  readonly burst?: number;
  /** One more event about an object each so many ms; default 60 s. */
  readonly refillMs?: number;
  /** Repetitions are written together at most this often; default 10 s. */
  readonly seriesMs?: number;
}

export interface Recorder {
  /** Writes an events.k8s.io/v1 Event in the background: repetitions become a series, floods are dropped. Never throws. */
  record(regarding: KubeObject, facts: EventFacts): void;
  /** Waits for what is being written, and writes pending repetitions. */
  flush(): Promise<void>;
}

interface Series {
  readonly name: { namespace: string; name: string };
  /** Settles when the first event is on the server; repetitions are patched into it. */
  readonly created: Promise<void>;
  count: number;
  lastMs: number;
  written: number;
  cancel: (() => void) | undefined;
}

// Repetitions within this time are one series; client-go uses the same.
const seriesEndsMs = 6 * 60_000;
const mostRemembered = 4096;
const longestNoteBytes = 1024;

export function createRecorder(options: RecorderOptions): Recorder {
  const { client, controller, instance, clock = systemClock, log = silentLog, metrics = noMetrics } = options;
  const { burst = 25, refillMs = 60_000, seriesMs = 10_000 } = options;
  const all = new Map<string, Series>();
  const buckets = new Map<string, { tokens: number; atMs: number }>();
  const writing = new Set<Promise<void>>();

  const microTime = (): string => new Date(clock.wallMs()).toISOString().replace('Z', '000Z');
  const inBackground = (work: () => Promise<unknown>): Promise<void> => {
    const task = work()
      .then(
        () => {},
        (error: unknown) => {
          // A namespace that is going away takes no new events; nothing to do about it.
          metrics.count('kube_events_dropped_total', { reason: 'refused' }, 1);
          log.debug({ err: error }, 'an event was not written');
        },
      )
      .finally(() => writing.delete(task));
    writing.add(task);
    return task;
  };
  const mayWrite = (uid: string): boolean => {
    const nowMs = clock.monotonicMs();
    const bucket = buckets.get(uid) ?? { tokens: burst, atMs: nowMs };
    bucket.tokens = Math.min(burst, bucket.tokens + (nowMs - bucket.atMs) / refillMs);
    bucket.atMs = nowMs;
    if (buckets.size >= mostRemembered) buckets.clear();
    buckets.set(uid, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  };
  const writeSeries = (series: Series): void => {
    series.cancel?.();
    series.cancel = undefined;
    if (series.count === series.written) return;
    series.written = series.count;
    const patch = { series: { count: series.count, lastObservedTime: microTime() } };
    void inBackground(async () => {
      await series.created;
      try {
        await client.mergePatch(events, series.name, patch, { deadlineMs: 5000, retries: 1 });
      } catch (error) {
        // It has expired on the server: the next occurrence starts anew.
        if (!isNotFound(error)) throw error;
        for (const [key, other] of all) if (other === series) all.delete(key);
      }
    });
  };

  const record = (regarding: KubeObject, facts: EventFacts): void => {
    const { uid = '', namespace = 'default', name } = regarding.metadata;
    const key = JSON.stringify([uid, name, facts.type, facts.reason, facts.action, facts.note, facts.related?.metadata.uid]);
    const nowMs = clock.monotonicMs();
    const present = all.get(key);
    if (present !== undefined && nowMs - present.lastMs < seriesEndsMs) {
      present.count += 1;
      present.lastMs = nowMs;
      present.cancel ??= clock.after(seriesMs, () => writeSeries(present));
      return;
    }
    present?.cancel?.();
    all.delete(key);
    if (!mayWrite(uid)) {
      metrics.count('kube_events_dropped_total', { reason: 'limited' }, 1);
      return;
    }
    if (all.size >= mostRemembered) {
      for (const series of all.values()) series.cancel?.();
      all.clear();
    }
    const eventName = { namespace, name: `${name.slice(0, 200)}.${randomUUID().slice(0, 18)}` };
    const event = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: eventName,
      eventTime: microTime(),
      reportingController: controller,
      reportingInstance: instance.slice(0, 128),
      type: facts.type,
      reason: facts.reason.slice(0, 128),
      action: facts.action.slice(0, 128),
      note: cut(facts.note),
      regarding: referenceTo(regarding),
      ...(facts.related === undefined ? {} : { related: referenceTo(facts.related) }),
    };
    const created = inBackground(() => client.create(events, event, { deadlineMs: 5000, retries: 1 }));
    all.set(key, { name: eventName, created, count: 1, lastMs: nowMs, written: 1, cancel: undefined });
  };

  return {
    record: (regarding, facts) => {
      try {
        record(regarding, facts);
      } catch (error) {
        log.warn({ err: error, reason: facts.reason }, 'an event could not be made');
      }
    },
    flush: async () => {
      for (const series of all.values()) writeSeries(series);
      while (writing.size > 0) await Promise.all(writing);
    },
  };
}

function referenceTo(object: KubeObject): Record<string, unknown> {
  const { uid, resourceVersion } = object.metadata;
  return { apiVersion: object.apiVersion, kind: object.kind, ...nameOf(object), uid, resourceVersion };
}

/** Cut in bytes, not in the middle of a character. */
function cut(note: string): string {
  const bytes = Buffer.from(note, 'utf8');
  return bytes.length < longestNoteBytes
    ? note
    : `${bytes
        .subarray(0, longestNoteBytes - 8)
        .toString('utf8')
        .replace(/\uFFFD$/, '')}…`;
}
