export type Fields = Readonly<Record<string, unknown>>;
type LogLine = (fields: Fields, message: string) => void;

/** Structured log; a pino logger fits. */
export interface Log {
  readonly debug: LogLine;
  readonly info: LogLine;
  readonly warn: LogLine;
  readonly error: LogLine;
}

export type Labels = Readonly<Record<string, string>>;

/** Sink for numbers. Names and labels are those of `metricDescriptions`. */
export interface Metrics {
  /** Adds to a counter. */
  count(name: MetricName, labels: Labels, by: number): void;
  /** Adds an observation to a histogram; seconds. */
  observe(name: MetricName, labels: Labels, value: number): void;
  /** Sets a gauge. */
  gauge(name: MetricName, labels: Labels, value: number): void;
}

/** Everything that this package measures, for an adapter that registers series beforehand. */
export const metricDescriptions = {
  kube_requests_total: {
    kind: 'counter',
    labels: ['verb', 'status'],
    help: 'Requests to the API server by verb and HTTP status (0: no answer).',
  },
  kube_request_seconds: { kind: 'histogram', labels: ['verb'], help: 'Duration of requests to the API server, retries included.' },
  kube_retries_total: { kind: 'counter', labels: ['verb'], help: 'Requests that were sent again.' },
  kube_relists_total: { kind: 'counter', labels: ['resource'], help: 'Full lists of a watched resource.' },
  kube_watch_failures_total: { kind: 'counter', labels: ['resource', 'reason'], help: 'Watches that ended with an error.' },
  kube_watch_age_seconds: {
    kind: 'gauge',
    labels: ['resource'],
    help: 'Seconds since the API server last said anything on a watch, at its end.',
  },
  kube_store_objects: { kind: 'gauge', labels: ['resource'], help: 'Objects in a store.' },
  kube_queue_depth: { kind: 'gauge', labels: ['controller'], help: 'Names that wait for a worker.' },
  kube_queue_wait_seconds: { kind: 'histogram', labels: ['controller'], help: 'Time from adding a name to its reconcile.' },
  kube_reconciles_total: { kind: 'counter', labels: ['controller', 'outcome'], help: 'Reconciles: success, error, terminal.' },
  kube_reconcile_seconds: { kind: 'histogram', labels: ['controller'], help: 'Duration of reconciles.' },
  kube_applies_total: { kind: 'counter', labels: ['kind', 'outcome'], help: 'Desired objects: applied or unchanged (no call).' },
  kube_events_dropped_total: { kind: 'counter', labels: ['reason'], help: 'Kubernetes events that were not written: limited, refused.' },
  kube_lease_held: { kind: 'gauge', labels: ['lease'], help: '1 while this process holds the lease.' },
} as const satisfies Record<string, { kind: 'counter' | 'histogram' | 'gauge'; labels: readonly string[]; help: string }>;

export type MetricName = keyof typeof metricDescriptions;

/** Log and metrics that go nowhere. */
export const silentLog: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
export const noMetrics: Metrics = { count: () => {}, observe: () => {}, gauge: () => {} };
