import type { LaneObserver } from '@cupel/chain/lane';
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

/** Transactions by purpose and what came of them. */
export const laneMetrics = (metrics: Metrics): LaneObserver => {
  const transactions = metrics.counter<'purpose' | 'outcome'>({
    name: 'transactions_total',
    help: 'Transactions by outcome.',
    labels: ['purpose', 'outcome'],
  });
  const count = (purpose: string, outcome: string): void => transactions.inc({ purpose, outcome });
  return {
    sent: (purpose) => count(purpose, 'sent'),
    raised: (purpose) => count(purpose, 'raised'),
    mined: (purpose) => count(purpose, 'mined'),
    reverted: (purpose, simulated) => count(purpose, simulated ? 'refused' : 'reverted'),
  };
};

/** 1 while a ModelProvider is Ready; `undefined`: it is gone. */
export type ReadyGauge = (namespace: string, name: string, ready: boolean | undefined) => void;

export const readyGauge = (metrics: Metrics): ReadyGauge => {
  const gauge = metrics.gauge<'namespace' | 'name'>({
    name: 'modelprovider_ready',
    help: '1 while the ModelProvider is Ready.',
    labels: ['namespace', 'name'],
  });
  return (namespace, name, ready) =>
    ready === undefined ? gauge.remove({ namespace, name }) : gauge.set({ namespace, name }, ready ? 1 : 0);
};
