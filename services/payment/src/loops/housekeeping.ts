import type { IncomingCalls } from '../calls/incoming.ts';
import type { Facts } from '../facts.ts';
import type { LedgerStore } from '../ledger/records.ts';

export interface HousekeepingDeps {
  readonly ledger: LedgerStore;
  readonly common: Pick<IncomingCalls, 'expire'>;
  readonly facts: Pick<Facts, 'isStale'>;
  readonly nowMs: () => number;
  /** How long told receipts are kept for being told again. */
  readonly keepMs: number;
  readonly onBacklog: (count: number) => void;
  readonly onStale: (isStale: boolean) => void;
}

/** A late charge may still name a lease that ended; after a day none comes. */
const LEASES_KEPT_MS = 86_400_000;

export const createHousekeeping = ({ ledger, common, facts, nowMs, keepMs, onBacklog, onStale }: HousekeepingDeps) => ({
  /** Ends leases whose time is over, and says how things are. */
  async look(): Promise<void> {
    await common.expire();
    onBacklog(ledger.records.unpublishedCount());
    onStale(facts.isStale());
  },
  /** Deletes payloads, notes and leases that are of no more use. Charges, vouchers and credits stay for ever. */
  async sweep(): Promise<void> {
    const now = nowMs();
    await ledger.write(() => {
      ledger.records.sweepPayloads(now);
      ledger.records.sweepOutbox(now - keepMs);
      ledger.records.sweepLeases(now - LEASES_KEPT_MS);
    });
  },
});
