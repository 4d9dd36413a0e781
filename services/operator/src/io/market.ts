import { ChainUnavailable, RpcError, WrongChain } from '@cupel/chain/client';
import { hexToBytes, bytesToHex } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import type { Market } from '@cupel/protocol/crd/objects';
import { keccak256 } from '@cupel/signing/keccak';

import type { ChainFacts } from '../reconcilers/market/observe.ts';
import type { Connections } from './chain.ts';
import type { Lanes } from './lanes.ts';

/** One look at the chain of a Market. */
export const lookAtChain =
  (connections: Connections, lanes: Lanes) =>
  async (market: Market): Promise<ChainFacts> => {
    try {
      const { client, contracts } = await connections.of(market);
      const head = await client.head('latest');
      const entries = Object.entries(contracts);
      const codes = await Promise.all(entries.map(async ([, address]) => client.code(address)));
      // Those of an earlier process stay listed: a restart is no reason to write a status.
      const listed = (market.status?.accounts ?? []).map(({ address }) => address as Hex);
      const addresses = [...new Set([...listed, ...lanes.addresses(client.chainId)])].slice(0, 256);
      const balances = await Promise.all(addresses.map((address) => client.balance(address)));
      return {
        reachable: true,
        chainId: market.spec.chain.id,
        rightChain: true,
        code: Object.fromEntries(entries.map(([name], i) => [name, codeHash(codes[i])])),
        finality: await finalityProblem(market, head.number, (tag) => client.head(tag)),
        accounts: addresses.map((address, i) => ({ address, wei: balances[i] ?? 0n })),
      };
    } catch (error) {
      if (error instanceof WrongChain) {
        const [problem = error.message] = error.message.split(';');
        const id = /is chain (\d+)/.exec(problem)?.[1];
        return { reachable: true, rightChain: false, chainId: id === undefined ? undefined : Number(id), message: problem };
      }
      if (error instanceof ChainUnavailable || error instanceof RpcError) return { reachable: false, message: error.message };
      return { reachable: false, message: error instanceof Error ? error.message : 'unknown error' };
    }
  };

const codeHash = (code: Hex | undefined): Hex | undefined =>
  code === undefined || code === '0x' ? undefined : bytesToHex(keccak256(hexToBytes(code)));

const finalityProblem = async (
  market: Market,
  head: number,
  block: (tag: 'safe' | 'finalized') => Promise<{ number: number }>,
): Promise<string | undefined> => {
  const { finality, confirmations = 0 } = market.spec.chain;
  if (finality === 'Confirmations') return head >= confirmations ? undefined : `the chain has only ${head} blocks`;
  try {
    await block(finality === 'Safe' ? 'safe' : 'finalized');
    return undefined;
  } catch (error) {
    if (error instanceof RpcError) return `the node knows no ${finality.toLowerCase()} head (${error.message})`;
    throw error;
  }
};
