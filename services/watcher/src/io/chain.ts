import type { Block, ChainClient, Log } from '@cupel/chain/client';
import { emitters, eventDecoder } from '@cupel/chain/events';
import type { MarketEvent } from '@cupel/chain/events';
import type { Keccak256 } from '@cupel/protocol/eip712';
import type { Contracts } from '@cupel/protocol/wire/config';

import { mayHaveLogged } from '../guard/bloom.ts';
import type { EventAt } from '../project/reduce.ts';
import type { ChainReader } from '../tail/follow.ts';

export interface ChainReaderOptions {
  readonly client: Pick<ChainClient, 'head' | 'block' | 'logs'>;
  readonly contracts: Contracts;
  readonly keccak: Keccak256;
  readonly confirmations: number | undefined;
  /** A log of ours that could not be read is left out: one of them must not stop everybody's view of the chain. */
  readonly onUndecodable: (log: Log, err: unknown) => void;
}

export const chainReader = ({ client, contracts, keccak, confirmations, onUndecodable }: ChainReaderOptions): ChainReader => {
  const addresses = emitters(contracts);
  const decode = eventDecoder(contracts);
  const blooms = new Map<string, Block>();

  const decoded = (log: Log): MarketEvent | undefined => {
    try {
      return decode(log);
    } catch (err) {
      onUndecodable(log, err);
      return undefined;
    }
  };
  const events = (logs: readonly Log[]): EventAt[] =>
    logs.flatMap((log) => {
      const event = decoded(log);
      return event ? [{ event, blockNumber: log.blockNumber, transactionHash: log.transactionHash }] : [];
    });

  const below = async (latest: Block, blocks: number): Promise<Block> =>
    (await client.block(Math.max(0, latest.number - blocks))) ?? latest;

  return {
    async heads() {
      const latest = await client.head('latest');
      if (confirmations !== undefined) {
        const settled = await below(latest, confirmations);
        return { latest, safe: settled, finalized: settled };
      }
      const [safe, finalized] = await Promise.all([client.head('safe'), client.head('finalized')]);
      // Between the questions the chain goes on: a head that passed ours is cut at ours.
      const cut = (block: Block): Block => (block.number > latest.number ? latest : block);
      return { latest, safe: cut(safe), finalized: cut(finalized) };
    },
    async block(number) {
      const block = await client.block(number);
      if (block?.logsBloom !== undefined) {
        blooms.clear();
        blooms.set(block.hash, block);
      }
      return block;
    },
    async eventsOf(block) {
      const logs = await client.logs({ addresses, blockHash: block.hash });
      const bloom = blooms.get(block.hash)?.logsBloom;
      if (logs.length > 0 || bloom === undefined || !addresses.some((a) => mayHaveLogged(keccak, bloom, a))) return events(logs);
      // The filter admits a log of ours, and none came: a second answer settles it.
      return events(await client.logs({ addresses, blockHash: block.hash }));
    },
    eventsBetween: async (fromBlock, toBlock) => events(await client.logs({ addresses, fromBlock, toBlock })),
  };
};
