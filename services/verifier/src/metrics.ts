import type { Metrics } from '@cupel/runtime/metrics';

import type { Finding } from './defend/finding.ts';
import type { Ruling } from './dispute/decide.ts';
import type { Verdict } from './judge/verdict.ts';
import type { Kind } from './loops/verdicts.ts';

export const verifierMetrics = (metrics: Metrics) => {
  const held = metrics.counter({ name: 'receipts_held_total', help: 'Receipts taken from the stream.' });
  const odd = metrics.counter({ name: 'receipts_odd_total', help: 'Receipts of the stream that do not hash to their digest.' });
  const sampled = metrics.counter({ name: 'receipts_sampled_total', help: 'Receipts that were drawn.' });
  const epochs = metrics.counter({ name: 'epochs_total', help: 'Epochs that were drawn.' });
  const verdicts = metrics.counter({ name: 'verdicts_total', help: 'Verdicts by kind of model.', labels: ['kind', 'verdict'] });
  const disputes = metrics.counter({ name: 'disputes_total', help: 'Disputes by outcome; due: it goes on.', labels: ['outcome'] });
  const falseAccusations = metrics.counter({
    name: 'false_accusations_total',
    help: 'Challenges that the contract answered with AnswerIsRight; must stay 0.',
  });
  const findings = metrics.counter({
    name: 'verdicts_against_us_total',
    help: "Verdicts against own models by the defender's finding.",
    labels: ['finding'],
  });
  const waiting = metrics.gauge({ name: 'receipts_waiting', help: 'Receipts in no epoch yet.' });
  const pending = metrics.gauge({ name: 'verdicts_pending', help: 'Drawn receipts without a verdict, counted up to 500.' });
  const due = metrics.gauge({ name: 'disputes_due', help: 'Lies that are not punished yet.' });
  // Shown as 0 from the start, so that an alert on it has something to look at.
  falseAccusations.inc(undefined, 0);
  return {
    held: (): void => held.inc(),
    odd: (): void => odd.inc(),
    drawn(count: number): void {
      epochs.inc();
      sampled.inc(undefined, count);
    },
    verdict: (kind: Kind, verdict: Verdict): void => verdicts.inc({ kind, verdict }),
    ruling(state: Ruling['state']): void {
      disputes.inc({ outcome: state });
      if (state === 'falseAccusation') falseAccusations.inc();
    },
    finding: (finding: Finding): void => findings.inc({ finding }),
    backlog(receipts: number, verdictsPending: number, disputesDue: number): void {
      waiting.set({}, receipts);
      pending.set({}, verdictsPending);
      due.set({}, disputesDue);
    },
  };
};
