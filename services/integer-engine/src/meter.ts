import { createMetrics } from '@cupel/runtime/metrics';

import type { Meter } from './http.ts';

/** cupel_integer_engine_requests_total and cupel_integer_engine_request_duration_seconds, with Node's own metrics. */
export function createMeter(): Meter {
  const metrics = createMetrics('integer-engine');
  const requests = metrics.counter({ name: 'requests_total', help: 'Requests answered.', labels: ['endpoint', 'code'] });
  const duration = metrics.histogram({
    name: 'request_duration_seconds',
    help: 'From the first byte of a request to its answer.',
    labels: ['endpoint'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1],
  });
  return {
    served(endpoint, code, seconds) {
      requests.inc({ endpoint, code });
      duration.observe({ endpoint }, seconds);
    },
    exposition: async () => ({ contentType: metrics.contentType, body: await metrics.render() }),
  };
}
