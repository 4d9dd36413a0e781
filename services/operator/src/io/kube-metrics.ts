import { metricDescriptions } from '@cupel/kube/telemetry';
import type { Metrics as KubeMetrics, MetricName } from '@cupel/kube/telemetry';
import type { Metrics } from '@cupel/runtime/metrics';

const SECONDS = [0.005, 0.025, 0.1, 0.25, 1, 2.5, 10, 30, 60];

/** The controller runtime's numbers as Prometheus series of this process. */
export const kubeMetrics = (metrics: Metrics): KubeMetrics => {
  const counters = new Map<MetricName, ReturnType<typeof metrics.counter<string>>>();
  const gauges = new Map<MetricName, ReturnType<typeof metrics.gauge<string>>>();
  const histograms = new Map<MetricName, ReturnType<typeof metrics.histogram<string>>>();
  for (const [key, { kind, labels, help }] of Object.entries(metricDescriptions)) {
    const name = key as MetricName;
    if (kind === 'counter') counters.set(name, metrics.counter<string>({ name, help, labels }));
    else if (kind === 'gauge') gauges.set(name, metrics.gauge<string>({ name, help, labels }));
    else histograms.set(name, metrics.histogram<string>({ name, help, labels, buckets: SECONDS }));
  }
  return {
    count: (name, labels, by) => counters.get(name)?.inc(labels, by),
    gauge: (name, labels, value) => gauges.get(name)?.set(labels, value),
    observe: (name, labels, value) => histograms.get(name)?.observe(labels, value),
  };
};
