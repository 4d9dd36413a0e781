import type { Hex } from '@cupel/protocol/hex';
import type { Contracts } from '@cupel/protocol/wire/config';

import type { Accounts } from './accounts.ts';
import { balanceOf, totalSupply } from './rpc.ts';
import type { Rpc } from './rpc.ts';

/** Every purse of the story, by who owns it. */
export const pursesOf = (accounts: Accounts, contracts: Contracts): readonly (readonly [name: string, address: Hex])[] => [
  ['consumer', accounts.consumer.address],
  ['gateway payer', accounts.gateway.payer.address],
  ['gateway payout', accounts.gateway.payout.address],
  ['honest payout', accounts.honest.payout.address],
  ['honest operator', accounts.honest.operator.address],
  ['cheat payout', accounts.cheat.payout.address],
  ['cheat operator', accounts.cheat.operator.address],
  ['verifier', accounts.verifier.address],
  ['channels contract', contracts.paymentChannels],
  ['stake vault', contracts.stakeVault],
];

export interface Purse {
  readonly name: string;
  readonly dollars: bigint;
  readonly stake: bigint;
}

export interface Books {
  readonly purses: readonly Purse[];
  readonly dollarSupply: bigint;
  readonly stakeSupply: bigint;
}

/** Balances by raw eth_call. */
export const readBooks = async (rpc: Rpc, accounts: Accounts, contracts: Contracts): Promise<Books> => ({
  purses: await Promise.all(
    pursesOf(accounts, contracts).map(async ([name, address]) => ({
      name,
      dollars: await balanceOf(rpc, contracts.paymentToken, address),
      stake: await balanceOf(rpc, contracts.stakeToken, address),
    })),
  ),
  dollarSupply: await totalSupply(rpc, contracts.paymentToken),
  stakeSupply: await totalSupply(rpc, contracts.stakeToken),
});
