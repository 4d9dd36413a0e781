import { connectChain } from '@cupel/chain/connect';
import type { ChainClient } from '@cupel/chain/client';
import { marketCalls } from '@cupel/chain/contracts';
import { memoryJournal } from '@cupel/chain/journal-memory';
import { openLane } from '@cupel/chain/lane';
import type { Call, Lane } from '@cupel/chain/lane';
import type { Hex } from '@cupel/protocol/hex';
import { utf8 } from '@cupel/protocol/hex';
import type { Logger } from '@cupel/protocol/log';
import type { Contracts } from '@cupel/protocol/wire/config';
import { keccak256 } from '@cupel/signing/keccak';

import type { Account, Accounts } from './accounts.ts';

/** One sender per key: what the people of the story sign by hand. */
export interface Desk extends AsyncDisposable {
  readonly client: ChainClient;
  /** Sends one call and throws unless it is mined. */
  send(from: Account, purpose: string, call: Call): Promise<Hex>;
}

const quiet: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export const openDesk = (rpcUrl: string, chainId: number): Desk => {
  const client = connectChain({ rpc: [{ name: 'anvil', url: rpcUrl }], chainId, logger: quiet });
  const lanes = new Map<Hex, Lane>();
  let count = 0;
  const laneOf = (account: Account): Lane => {
    const known = lanes.get(account.address);
    if (known) return known;
    const opened = openLane({
      client,
      signer: account.signer,
      journal: memoryJournal(),
      clock: { nowMs: () => Date.now() },
      logger: quiet,
    });
    lanes.set(account.address, opened);
    return opened;
  };
  return {
    client,
    async send(from, purpose, call) {
      count += 1;
      const outcome = await laneOf(from).send({ key: `${purpose}-${count}`, purpose, call });
      if (outcome.kind !== 'mined') throw new Error(`${purpose} by ${from.name}: ${JSON.stringify(outcome)}`);
      return outcome.hash;
    },
    async [Symbol.asyncDispose]() {
      for (const lane of lanes.values()) await lane[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
    },
  };
};

const ETHER = 10n ** 18n;
/** Test dollars have six decimals. */
const DOLLAR = 10n ** 6n;

/** What each purse of the story starts with. */
export const STARTING = {
  consumerDollars: 20n * DOLLAR,
  gatewayDollars: 50n * DOLLAR,
  operatorDollars: 20n * DOLLAR,
  operatorStake: 1_000n * ETHER,
} as const;

const mintCall = (token: Hex, to: Hex, amount: bigint): Call => ({
  to: token,
  // TestDollar.mint(address,uint256); anyone may, on a development chain.
  data: `0x${Buffer.from(keccak256(utf8('mint(address,uint256)')).subarray(0, 4)).toString('hex')}${to.slice(2).padStart(64, '0')}${amount.toString(16).padStart(64, '0')}`,
});

/** Hands out coins and tokens from the faucet, in a handful of blocks. */
export const fund = async (desk: Desk, contracts: Contracts, accounts: Accounts): Promise<void> => {
  const calls = marketCalls(contracts);
  const { faucet, consumer, gateway, verifier, honest, cheat } = accounts;
  const providers = [honest, cheat];
  const withGas = [
    consumer,
    gateway.payer,
    gateway.payout,
    gateway.settlement,
    verifier,
    ...providers.flatMap((p) => [p.owner, p.operator, p.payout, p.settlement]),
  ];
  await Promise.all([
    ...withGas.map((a) => desk.send(faucet, `coins for ${a.name}`, { to: a.address, data: '0x', value: 5n * ETHER })),
    desk.send(faucet, 'dollars for the consumer', mintCall(contracts.paymentToken, consumer.address, STARTING.consumerDollars)),
    desk.send(faucet, 'dollars for the gateway', mintCall(contracts.paymentToken, gateway.payer.address, STARTING.gatewayDollars)),
    ...providers.flatMap((p) => [
      desk.send(faucet, `dollars for ${p.operator.name}`, mintCall(contracts.paymentToken, p.operator.address, STARTING.operatorDollars)),
      desk.send(faucet, `stake for ${p.operator.name}`, calls.transfer(contracts.stakeToken, p.operator.address, STARTING.operatorStake)),
    ]),
  ]);
};

/** The cold keys' part: each owner names its operator and payout, each payee the key that may redeem for it. */
export const nameRoles = async (desk: Desk, contracts: Contracts, { honest, cheat, gateway }: Accounts): Promise<void> => {
  const calls = marketCalls(contracts);
  await Promise.all([
    ...[honest, cheat].flatMap((p) => [
      desk.send(p.owner, 'setProvider', calls.setProvider(p.operator.address, p.payout.address)),
      desk.send(p.payout, 'setRedeemer', calls.setRedeemer(p.settlement.address)),
    ]),
    desk.send(gateway.payout, 'setRedeemer', calls.setRedeemer(gateway.settlement.address)),
  ]);
};
