import type { Metrics } from '@cupel/runtime/metrics';

import type { BreakerState } from './choose/health.ts';
import type { Observer } from './meter/observer.ts';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Flows tell it what happened; names: cupel_router_…. */
export const createObserver = (metrics: Metrics, role: string): Observer & { breaker(key: string, state: BreakerState): void } => {
  const requests = metrics.counter({ name: 'requests_total', help: 'Requests by how they ended.', labels: ['role', 'kind', 'reason'] });
  const firstByte = metrics.histogram({
    name: 'first_byte_seconds',
    help: 'From sending a request on to the first byte of its answer.',
    labels: ['role', 'kind'],
    buckets: SECONDS,
  });
  const inFlight = metrics.gauge({ name: 'in_flight_requests', help: 'Requests that are being served.', labels: ['role'] });
  const attempts = metrics.counter({
    name: 'attempts_total',
    help: 'Attempts at providers by how they ended.',
    labels: ['role', 'outcome'],
  });
  const tokens = metrics.counter({
    name: 'units_total',
    help: 'Billed tokens (chat) or bytes (integer).',
    labels: ['role', 'kind', 'direction'],
  });
  const charged = metrics.counter({
    name: 'charged_micro_total',
    help: 'Charged, in millionths of a base unit.',
    labels: ['role', 'kind'],
  });
  const unfit = metrics.counter({
    name: 'unfit_receipts_total',
    help: 'Answers whose receipt did not fit; nothing was charged for them.',
    labels: ['role'],
  });
  const breakers = metrics.gauge({ name: 'breaker_state', help: '0 closed, 1 half open, 2 open.', labels: ['endpoint'] });
  return {
    request: (kind, reason) => requests.inc({ role, kind, reason }),
    firstByte: (kind, ms) => firstByte.observe({ role, kind }, ms / 1000),
    inFlight: (count) => inFlight.set({ role }, count),
    attempt: (outcome) => attempts.inc({ role, outcome }),
    billed(kind, inputUnits, outputUnits, price) {
      tokens.inc({ role, kind, direction: 'input' }, Number(inputUnits));
      tokens.inc({ role, kind, direction: 'output' }, Number(outputUnits));
      charged.inc({ role, kind }, Number(price));
    },
    unfitReceipt: () => unfit.inc({ role }),
    // A closed breaker is the rule: only the others stand in the list.
    breaker: (endpoint, state) => (state === 0 ? breakers.remove({ endpoint }) : breakers.set({ endpoint }, state)),
  };
};
