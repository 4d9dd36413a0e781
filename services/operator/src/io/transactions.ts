import type { Lane } from '@cupel/chain/lane';
import type { Hex } from '@cupel/protocol/hex';

import type { ChainAction } from '../reconcilers/modelprovider/plan.ts';
import type { SendResult } from '../reconcilers/modelprovider/ports.ts';
import type { Connection } from './chain.ts';
import type { Lanes } from './lanes.ts';

/** One action of a plan as one transaction (deposit: with the approvals that it needs). */
export const sendAction = async (
  connection: Connection,
  lanes: Lanes,
  lane: Lane,
  { owner, modelId }: { readonly owner: Hex; readonly modelId: Hex },
  action: ChainAction,
): Promise<SendResult> => {
  const { calls } = connection;
  const send = (call: Parameters<Lane['send']>[0]['call']): Promise<SendResult> =>
    lanes.send(lane, { key: action.id, purpose: action.kind, call });
  switch (action.kind) {
    case 'register':
      return send(calls.register(owner, action.slug, action.terms, action.prices, action.endpoint, action.specializations));
    case 'addVersion':
      return send(calls.addVersion(modelId, action.terms));
    case 'setPrices':
      return send(calls.setPrices(modelId, action.prices));
    case 'setEndpoint':
      return send(calls.setEndpoint(modelId, action.url));
    case 'retire':
      return send(calls.retire(modelId));
    case 'withdrawStake':
      return send(calls.withdrawStake(modelId));
    case 'deposit':
      return lanes.exclusive(lane, () => deposit(connection, lanes, lane, modelId, action));
  }
};

let approvals = 0;

/** Exact approvals, then the deposit: what the vault may pull is never more than this one deposit. */
const deposit = async (
  { client, contracts, views, calls }: Connection,
  lanes: Lanes,
  lane: Lane,
  modelId: Hex,
  action: Extract<ChainAction, { kind: 'deposit' }>,
): Promise<SendResult> => {
  const approve = async (token: Hex, amount: bigint): Promise<SendResult> => {
    if (amount === 0n || (await views.allowance(token, lane.address, contracts.stakeVault)) === amount) return { ok: true };
    // An approval may be needed again in the same state; sending it twice does no harm.
    approvals += 1;
    const call = calls.approve(token, contracts.stakeVault, amount);
    return lanes.send(lane, { key: `approve:${client.chainId}:${approvals}`, purpose: 'approve', call });
  };
  const approved = await Promise.all([approve(contracts.stakeToken, action.stake), approve(contracts.paymentToken, action.bond)]);
  const refused = approved.find((result) => !result.ok);
  if (refused) return refused;
  return lanes.send(lane, { key: action.id, purpose: 'deposit', call: calls.deposit(modelId, action.stake, action.bond) });
};
