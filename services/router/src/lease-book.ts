import type { Logger } from '@cupel/protocol/log';
import type { Clock } from '@cupel/protocol/time';

import { LeaseBook } from './admit/leases.ts';
import type { LeaseSource } from './admit/leases.ts';

/** The lease book as both roles use it: the ledger's leases live five minutes; one that a longer answer holds is renewed. */
export const leaseBook = (source: LeaseSource, clock: Clock, logger: Logger): LeaseBook =>
  new LeaseBook({
    source,
    clock,
    ahead: 16n,
    marginMs: 120_000,
    idleMs: 15_000,
    onRenewFailed: (err) => logger.debug({ err }, 'a lease could not be renewed ahead of need'),
  });
