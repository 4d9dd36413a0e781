/** A plain table: columns padded, numbers to the right. */
export const renderTable = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => (r[i] ?? '').length)));
  const numeric = (text: string) => /^[-+−]?[\d.,]+( \S+)?$/.test(text);
  const line = (cells: readonly string[]) =>
    cells
      .map((c, i) => (numeric(c) ? c.padStart(widths[i]!) : c.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd();
  return [line(head), widths.map((w) => '─'.repeat(w)).join('  '), ...rows.map(line)].join('\n');
};

/** A signed difference, for people. */
export const signed = (amount: bigint, format: (n: bigint) => string): string =>
  amount === 0n ? '0' : amount > 0n ? `+${format(amount)}` : `-${format(-amount)}`;
