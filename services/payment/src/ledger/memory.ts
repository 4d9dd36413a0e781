import type { Hex } from '@cupel/protocol/hex';

import type { Change, ChannelRow, ChargeRow, CreditRow, Decision, LeaseRow, LedgerView, OutgoingRow } from './rows.ts';

/** The ledger's state as plain maps: the twin of the SQLite one. */
export interface MemoryLedger {
  readonly view: LedgerView;
  apply(changes: readonly Change[]): void;
  run<T>(decide: (view: LedgerView) => Decision<T>): Decision<T>;
  readonly channels: ReadonlyMap<Hex, ChannelRow>;
  readonly leases: ReadonlyMap<string, LeaseRow>;
  readonly charges: ReadonlyMap<Hex, ChargeRow>;
  readonly credits: ReadonlyMap<Hex, CreditRow>;
  readonly outgoing: ReadonlyMap<Hex, OutgoingRow>;
}

export const memoryLedger = (): MemoryLedger => {
  const channels = new Map<Hex, ChannelRow>();
  const leases = new Map<string, LeaseRow>();
  const charges = new Map<Hex, ChargeRow>();
  const byDigest = new Map<Hex, ChargeRow>();
  const credits = new Map<Hex, CreditRow>();
  const outgoing = new Map<Hex, OutgoingRow>();
  const view: LedgerView = {
    channel: (id) => channels.get(id),
    lease: (id) => leases.get(id),
    openLeases: () => [...leases.values()].filter((l) => l.state === 'open'),
    charge: (id) => charges.get(id),
    chargeOf: (digest) => byDigest.get(digest),
    credit: (digest) => credits.get(digest),
    outgoing: (id) => outgoing.get(id),
    allOutgoing: () => outgoing.values(),
  };
  const put = (change: Change): void => {
    switch (change.table) {
      case 'channels':
        channels.set(change.row.channelId, change.row);
        return;
      case 'leases':
        leases.set(change.row.leaseId, change.row);
        return;
      case 'charges':
        charges.set(change.row.requestId, change.row);
        byDigest.set(change.row.receiptDigest, change.row);
        return;
      case 'credits':
        credits.set(change.row.receiptDigest, change.row);
        return;
      case 'outgoing':
        outgoing.set(change.row.channelId, change.row);
        return;
      case 'outbox':
      case 'payloads':
      case 'consumers':
        return;
    }
  };
  const apply = (changes: readonly Change[]): void => changes.forEach(put);
  return {
    view,
    apply,
    channels,
    leases,
    charges,
    credits,
    outgoing,
    run(decide) {
      const decision = decide(view);
      apply(decision.changes);
      return decision;
    },
  };
};
