import type { AuditSummary } from '../sample/audit.ts';

const render = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(head), line(widths.map((w) => '-'.repeat(w))), ...rows.map(line)].join('\n');
};

const short = (hash: string): string => `${hash.slice(0, 10)}…`;

/** The facts of `--json`, for people. */
export const renderAudit = (summary: AuditSummary, withChain: boolean): string => {
  const { disputes } = summary;
  const epochs = summary.epochs.map((e) => [
    String(e.number),
    String(e.rate),
    `${e.sampled} of ${e.receipts}`,
    short(e.commit),
    short(e.commitTx),
    String(e.commitBlock),
    String(e.beaconBlock),
    short(e.beaconHash),
    e.reproduced ? 'yes' : 'NO',
  ]);
  const facts = [
    ['receipts held / sampled / not drawn yet', `${summary.receipts} / ${summary.sampled} / ${summary.undrawn}`],
    ['passed', String(summary.passed)],
    ['lies', String(summary.lies)],
    ['suspect', String(summary.suspect)],
    ['unverifiable', String(summary.unverifiable)],
    ['verdicts pending', String(summary.pendingVerdicts)],
    ['disputes upheld / open / failed', `${disputes.upheld} / ${disputes.open} / ${disputes.failed}`],
    ['false accusations', String(disputes.falseAccusations)],
    ['p(this sample misses every lie that was found)', summary.missEveryLie.toExponential(2)],
    ['compared with the chain', withChain ? 'yes' : 'no (name one with --rpc)'],
  ];
  const problems = summary.epochs.flatMap((e) => e.problems.map((problem) => `epoch ${e.number}: ${problem}`));
  return [
    render(['epoch', 'rate', 'sampled', 'commit', 'in transaction', 'block', 'beacon block', 'beacon', 'reproduced'], epochs),
    render(['fact', ''], facts),
    ...(summary.lieDigests.length > 0 ? [['lies:', ...summary.lieDigests].join('\n')] : []),
    ...(problems.length > 0 ? [problems.join('\n')] : []),
  ].join('\n\n');
};
