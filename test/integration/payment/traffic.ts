import { isDeepStrictEqual } from 'node:util';

import type { Hex } from '@cupel/protocol/hex';

import type { routerTwin } from './router-twin.ts';
import { hex32 } from './world.ts';

export interface Acknowledged {
  readonly price: bigint;
  readonly cumulative: bigint;
  readonly signature: string;
}

/** What the sender knows for sure when it is over. */
export interface TrafficRecord {
  /** Highest amount that payment said it has taken. */
  voucher: bigint;
  readonly acknowledged: Map<Hex, Acknowledged>;
  readonly sent: Map<Hex, bigint>;
  /** Answers that must never come. */
  readonly surprises: string[];
}

const CHARGERS = 6;
const MAY_WAIT = new Set(['insufficient_voucher', 'no_channel', 'channel_not_final', 'exposure_reached']);

/** Vouchers that rise and charges of random prices, until stopped; a call without an answer is asked again with the same ids. */
export const startTraffic = (router: ReturnType<typeof routerTwin>, random: () => number) => {
  const record: TrafficRecord = { voucher: 0n, acknowledged: new Map(), sent: new Map(), surprises: [] };
  let running = true;
  let next = 0;

  const raiseVouchers = async (): Promise<void> => {
    for (let amount = 1_000n; running; amount += 7n) {
      const answer = await router.voucher(amount);
      if (answer?.ok) record.voucher = amount;
      else if (answer && !['voucher_not_higher', ...MAY_WAIT].includes(answer.refusal.reason))
        record.surprises.push(`voucher: ${answer.refusal.message}`);
    }
  };

  const chargeOne = async (leaseId: string): Promise<void> => {
    const requestId = hex32((next += 1));
    const price = BigInt(1 + Math.floor(random() * 9_000));
    record.sent.set(requestId, price);
    const ask = () => router.insist(() => router.charge(leaseId, requestId, price));
    const first = await ask();
    if (!first.ok || !first.value.envelope) {
      record.surprises.push(`charge: ${first.ok ? 'no envelope' : first.refusal.message}`);
      return;
    }
    const { receipt, signature } = first.value.envelope;
    record.acknowledged.set(requestId, { price: receipt.price, cumulative: first.value.cumulative, signature });
    // Now and then the answer is asked for again, as a router does that lost it.
    if (random() < 0.2 && !isDeepStrictEqual(await ask(), first)) record.surprises.push(`the second answer about ${requestId} differs`);
  };

  const charge = async (): Promise<void> => {
    while (running) {
      const granted = await router.insist(() => router.lease(1n, 40_000n));
      if (granted.ok) for (let n = 0; n < 4 && running; n++) await chargeOne(granted.value.leaseId);
      else if (!MAY_WAIT.has(granted.refusal.reason)) record.surprises.push(`lease: ${granted.refusal.message}`);
      else await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };

  const work = Promise.all([raiseVouchers(), ...Array.from({ length: CHARGERS }, charge)]);
  return {
    record,
    async stop(): Promise<TrafficRecord> {
      running = false;
      await work;
      return record;
    },
  };
};
