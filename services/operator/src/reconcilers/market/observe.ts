import { market } from '@cupel/protocol/crd/objects';
import type { Market } from '@cupel/protocol/crd/objects';
import type { Hex } from '@cupel/protocol/hex';

/** What one look at a Market's chain found. */
export type ChainFacts =
  | { readonly reachable: false; readonly message: string }
  | { readonly reachable: true; readonly chainId: number | undefined; readonly rightChain: false; readonly message: string }
  | {
      readonly reachable: true;
      readonly chainId: number;
      readonly rightChain: true;
      /** keccak256 of the code at each contract; undefined: no code. */
      readonly code: Readonly<Record<string, Hex | undefined>>;
      /** undefined: fine; a sentence otherwise. */
      readonly finality: string | undefined;
      readonly accounts: readonly { readonly address: Hex; readonly wei: bigint }[];
    };

export interface MarketPorts {
  readonly nowMs: () => number;
  market(name: string): unknown;
  /** Never throws for what the chain does. */
  look(market: Market): Promise<ChainFacts>;
}

export interface ObservedMarket {
  readonly nowMs: number;
  readonly object: Market;
  readonly facts: ChainFacts;
}

export const observeMarket = async (ports: MarketPorts, name: string): Promise<ObservedMarket | undefined> => {
  const parsed = market.safeParse(ports.market(name));
  if (!parsed.success || parsed.data.metadata.deletionTimestamp !== undefined) return undefined;
  const object = parsed.data as Market;
  return { object, facts: await ports.look(object), nowMs: ports.nowMs() };
};
