import { Counter as PromCounter, Gauge as PromGauge, Histogram as PromHistogram, Registry, collectDefaultMetrics } from 'prom-client';

export type Labels<L extends string> = Readonly<Partial<Record<L, string | number>>>;

export interface Counter<L extends string = never> {
  inc(labels?: Labels<L>, by?: number): void;
}

export interface Gauge<L extends string = never> {
  set(labels: Labels<L>, value: number): void;
  remove(labels: Labels<L>): void;
}

export interface Histogram<L extends string = never> {
  observe(labels: Labels<L>, value: number): void;
}

export interface MetricOptions<L extends string> {
  /** Without prefix, with unit: `head_lag_seconds`, `requests_total`. */
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly L[];
}

export interface HistogramOptions<L extends string> extends MetricOptions<L> {
  readonly buckets: readonly number[];
}

export interface Metrics {
  counter<L extends string = never>(options: MetricOptions<L>): Counter<L>;
  gauge<L extends string = never>(options: MetricOptions<L>): Gauge<L>;
  histogram<L extends string = never>(options: HistogramOptions<L>): Histogram<L>;
  /** Prometheus text format 0.0.4. */
  render(): Promise<string>;
  readonly contentType: string;
}

/** Own registry with Node's default metrics; names are `cupel_<service>_<name>`. A name used twice throws. */
export const createMetrics = (service: string): Metrics => {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const prefix = `cupel_${service.replaceAll('-', '_')}_`;
  const common = <L extends string>({ name, help, labels = [] }: MetricOptions<L>) => ({
    name: prefix + name,
    help,
    labelNames: labels,
    registers: [registry],
  });
  return {
    counter<L extends string>(options: MetricOptions<L>): Counter<L> {
      const counter = new PromCounter<L>(common(options));
      return { inc: (labels, by = 1) => (labels ? counter.inc(labels, by) : counter.inc(by)) };
    },
    gauge<L extends string>(options: MetricOptions<L>): Gauge<L> {
      const gauge = new PromGauge<L>(common(options));
      return { set: (labels, value) => gauge.set(labels, value), remove: (labels) => gauge.remove(labels) };
    },
    histogram<L extends string>(options: HistogramOptions<L>): Histogram<L> {
      const histogram = new PromHistogram<L>({ ...common(options), buckets: [...options.buckets] });
      return { observe: (labels, value) => histogram.observe(labels, value) };
    },
    render: () => registry.metrics(),
    contentType: registry.contentType,
  };
};
