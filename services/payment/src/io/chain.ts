import type { Contracts } from '@cupel/protocol/wire/config';
import { marketCalls } from '@cupel/chain/contracts';
import type { Call, Lane, Outcome } from '@cupel/chain/lane';

import type { ExitChain } from '../loops/exits.ts';
import type { DepositChain } from '../loops/providers.ts';
import type { RedeemChain } from '../loops/redeem.ts';
import type { SettlementOutcome } from '../settle/redeem.ts';

const plain = (outcome: Outcome): SettlementOutcome => {
  switch (outcome.kind) {
    case 'mined':
      return { kind: 'mined', hash: outcome.hash };
    case 'pending':
      return { kind: 'pending', hash: outcome.hash };
    case 'reverted':
      return { kind: 'reverted', message: outcome.error.message, ...(outcome.hash !== undefined && { hash: outcome.hash }) };
    case 'unknown':
      return { kind: 'unknown', message: outcome.message };
  }
};

/** Redeems through the lane of the redeemer's key. */
export const redeemChain = (lane: Lane, contracts: Contracts): RedeemChain => {
  const calls = marketCalls(contracts);
  return {
    redeem: async (key, batch) => plain(await lane.send({ key, purpose: 'redeem', call: calls.redeem(batch.rows) })),
  };
};

/** Deposits through the lane of the payer's key: an allowance of exactly the amount, then the deposit that uses it up. */
export const depositChain = (lane: Lane, contracts: Contracts, nowMs: () => number): DepositChain => {
  const calls = marketCalls(contracts);
  const { paymentToken, paymentChannels } = contracts;
  const deposit = async (key: string, purpose: string, amount: bigint, call: Call): Promise<SettlementOutcome> => {
    const before = await lane.outcome(key);
    if (before?.kind === 'mined') return plain(before);
    if (before === undefined || (before.kind === 'reverted' && before.simulated)) {
      const approve = await lane.send({
        key: `approve:${key}:${nowMs()}`,
        purpose: 'approve',
        call: calls.approve(paymentToken, paymentChannels, amount),
      });
      if (approve.kind !== 'mined') return plain(approve);
    }
    return plain(await lane.send({ key, purpose, call }));
  };
  return {
    open: (key, descriptor, amount) => deposit(key, 'open-channel', amount, calls.open(descriptor, amount)),
    topUp: (key, descriptor, amount) => deposit(key, 'top-up-channel', amount, calls.topUp(descriptor, amount)),
  };
};

/** Exits through the lane of the payer's key. */
export const exitChain = (lane: Lane, contracts: Contracts): ExitChain => {
  const calls = marketCalls(contracts);
  return {
    startExit: async (key, descriptor) => plain(await lane.send({ key, purpose: 'start-exit', call: calls.startExit(descriptor) })),
    withdraw: async (key, descriptor) =>
      plain(await lane.send({ key, purpose: 'withdraw-refund', call: calls.withdrawRefund(descriptor) })),
  };
};
