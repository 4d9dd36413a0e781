import type { Metrics } from '@cupel/runtime/metrics';

import type { PaymentMeter } from './calls/incoming.ts';

/** Sums in base units may lose digits as floats: metrics are for looking, the ledger is for counting. */
const inBase = (micro: bigint): number => Number(micro) / 1e6;

export const paymentMetrics = (metrics: Metrics) => {
  const vouchers = metrics.counter({ name: 'vouchers_total', help: 'Vouchers by outcome.', labels: ['outcome'] });
  const charges = metrics.counter({ name: 'charges_total', help: 'Charges by outcome.', labels: ['outcome'] });
  const charged = metrics.counter({ name: 'charged_base_units_total', help: 'Charged to channels, in base units.' });
  const shortfall = metrics.counter({
    name: 'shortfall_base_units_total',
    help: "Prices beyond a payer's ceiling that the payee bore, in base units.",
  });
  const refusals = metrics.counter({ name: 'refusals_total', help: 'Refused calls by reason.', labels: ['call', 'reason'] });
  const credits = metrics.counter({ name: 'credited_base_units_total', help: 'Given back for upheld receipts, in base units.' });
  const unrefunded = metrics.counter({
    name: 'unrefunded_base_units_total',
    help: "Charged for receipts that a dispute upheld, beyond what the provider's bond refunded, in base units: the consumers' loss.",
  });
  const redeems = metrics.counter({ name: 'redeems_total', help: 'Redeem transactions by outcome.', labels: ['outcome'] });
  const unarbitrated = metrics.counter({
    name: 'unarbitrated_receipts_total',
    help: 'Receipts of versions without an arbiter: never claimed.',
  });
  const commits = metrics.histogram({
    name: 'ledger_commit_seconds',
    help: 'Time from the first command of a batch to its fsync.',
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5],
  });
  const batch = metrics.histogram({
    name: 'ledger_batch_commands',
    help: 'Commands per commit.',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 1024],
  });
  const backlog = metrics.gauge({ name: 'outbox_backlog', help: 'Receipts of which the stream has not been told.' });
  const stale = metrics.gauge({ name: 'head_stale', help: '1 while the chain has not been seen for a while.' });
  const meter: PaymentMeter = {
    voucher: (outcome) => vouchers.inc({ outcome }),
    charge(outcome, amount, short) {
      charges.inc({ outcome });
      charged.inc(undefined, inBase(amount));
      if (short > 0n) shortfall.inc(undefined, inBase(short));
    },
    refusal: (call, reason) => refusals.inc({ call, reason }),
  };
  return {
    meter,
    credited({ credited, lost }: { readonly credited: bigint; readonly lost: bigint }): void {
      credits.inc(undefined, inBase(credited));
      if (lost > 0n) unrefunded.inc(undefined, inBase(lost));
    },
    redeemed: (outcome: string): void => redeems.inc({ outcome }),
    unarbitrated: (count: number): void => unarbitrated.inc(undefined, count),
    committed(commands: number, seconds: number): void {
      commits.observe({}, seconds);
      batch.observe({}, commands);
    },
    backlog: (count: number): void => backlog.set({}, count),
    stale: (isStale: boolean): void => stale.set({}, isStale ? 1 : 0),
  };
};
