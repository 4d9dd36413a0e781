import type { Logger } from '@cupel/protocol/log';

import type { LedgerStore } from '../ledger/records.ts';
import { planRedeems, settled, splitFailed, underwayOf } from '../settle/redeem.ts';
import type { RedeemBatch, RedeemPolicy, Settlement, SettlementOutcome } from '../settle/redeem.ts';

/** Sends redeems. One key is one transaction, however often it is asked for. */
export interface RedeemChain {
  redeem(key: string, batch: RedeemBatch): Promise<SettlementOutcome>;
}

export interface RedeemDeps {
  readonly ledger: LedgerStore;
  readonly chain: RedeemChain;
  readonly policy: RedeemPolicy;
  readonly nowMs: () => number;
  readonly newId: () => string;
  readonly logger: Logger;
  readonly onOutcome: (kind: SettlementOutcome['kind']) => void;
}

export interface Redeemer {
  /** One round: what is on its way is asked about, what is due is sent. `everything`: all that is owed, regardless of the threshold. */
  run(everything: boolean): Promise<readonly Settlement[]>;
}

export const createRedeemer = (deps: RedeemDeps): Redeemer => {
  const { ledger, nowMs, logger } = deps;
  let queue: Promise<unknown> = Promise.resolve();

  const send = async (settlement: Settlement): Promise<Settlement> => {
    const outcome = await deps.chain.redeem(settlement.id, settlement.batch);
    const next = settled(settlement, outcome, nowMs());
    await ledger.write(() => ledger.records.putSettlement(next));
    deps.onOutcome(outcome.kind);
    const fields = { settlement: next.id, rows: next.batch.rows.length, hash: next.hash, reason: next.message };
    if (next.state === 'failed') logger.error(fields, 'a redeem failed; its rows are tried again one by one, later');
    else logger.info(fields, `a redeem is ${outcome.kind}`);
    return next;
  };

  /** Intent first: the row is on disk before the transaction lane hears of it. */
  const start = async (batch: RedeemBatch): Promise<Settlement> => {
    const settlement: Settlement = {
      id: `redeem:${deps.newId()}`,
      batch,
      state: 'planned',
      hash: null,
      message: null,
      plannedAtMs: nowMs(),
      endedAtMs: null,
    };
    await ledger.write(() => ledger.records.putSettlement(settlement));
    return send(settlement);
  };

  const round = async (everything: boolean): Promise<readonly Settlement[]> => {
    const out: Settlement[] = [];
    for (const settlement of ledger.records.settlements()) if (settlement.state === 'planned') out.push(await send(settlement));
    const batches = planRedeems(
      {
        channels: ledger.channels(),
        underway: underwayOf(ledger.records.settlements(), nowMs(), everything),
        nowSeconds: Math.floor(nowMs() / 1000),
        everything,
      },
      deps.policy,
    );
    for (const batch of batches) {
      const ended = await start(batch);
      out.push(ended);
      if (ended.state !== 'failed') continue;
      for (const single of splitFailed(batch)) out.push(await start(single));
    }
    return out;
  };

  return {
    run(everything) {
      const mine = queue.then(() => round(everything));
      queue = mine.catch(() => undefined);
      return mine;
    },
  };
};
