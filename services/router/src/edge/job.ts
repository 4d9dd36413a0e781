import type { Hex } from '@cupel/protocol/hex';
import type { Engine } from '@cupel/protocol/wire/bus';

import type { UnitBound } from '../admit/hold.ts';
import type { Hold } from '../admit/leases.ts';
import type { Charger } from '../meter/charger.ts';
import type { Exchange } from '../stream/exchange.ts';
import type { Caller } from './admission.ts';
import type { EdgeDeps, EdgeOptions } from './deps.ts';

/** A request that may go to an engine. */
export interface EdgeJob {
  readonly exchange: Exchange;
  readonly caller: Caller;
  readonly engine: Engine;
  readonly hold: Hold;
  readonly bound: UnitBound;
  readonly body: Uint8Array;
  readonly inputHash: Hex;
}

export interface EdgeContext {
  readonly deps: EdgeDeps;
  readonly options: EdgeOptions;
  readonly charger: Charger;
}
