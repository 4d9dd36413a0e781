import { CallReverted, ChainUnavailable, RpcError, WrongChain } from '@cupel/chain/client';
import type { ChainClient } from '@cupel/chain/client';
import { connectChain } from '@cupel/chain/connect';
import { marketCalls } from '@cupel/chain/contracts';
import type { MarketCalls } from '@cupel/chain/contracts';
import { marketViews } from '@cupel/chain/views';
import type { MarketViews } from '@cupel/chain/views';
import type { Market } from '@cupel/protocol/crd/objects';
import type { Hex } from '@cupel/protocol/hex';
import { versionIdOf } from '@cupel/protocol/ids';
import type { Logger } from '@cupel/protocol/log';
import type { Contracts } from '@cupel/protocol/wire/config';
import { contracts as contractsSchema } from '@cupel/protocol/wire/config';
import { keccak256 } from '@cupel/signing/keccak';

import type { ChainEntry } from '../reconcilers/modelprovider/observed.ts';
import { ChainNotReadable } from '../reconcilers/modelprovider/ports.ts';
import type { ChainPort, KeyReference } from '../reconcilers/modelprovider/ports.ts';
import type { Lanes } from './lanes.ts';
import { sendAction } from './transactions.ts';
import type { Keys } from './keys.ts';

/** One Market's chain: made anew when its RPC endpoints change. */
export interface Connection {
  readonly client: ChainClient;
  readonly contracts: Contracts;
  readonly views: MarketViews;
  readonly calls: MarketCalls;
}

export interface Connections {
  of(market: Market): Promise<Connection>;
}

export const createConnections = (keys: Keys, logger: Logger): Connections => {
  const known = new Map<string, { readonly id: string; readonly connection: Connection }>();
  return {
    async of(market) {
      const { chain, rpc, contracts } = market.spec;
      const endpoints = await Promise.all(
        rpc.map(async ({ name, url, urlSecretRef }) => {
          if (url !== undefined) return { name, url };
          if (urlSecretRef === undefined) throw new ChainNotReadable(`spec.rpc ${name} has neither url nor urlSecretRef`);
          return { name, url: await keys.text(urlSecretRef) };
        }),
      );
      const id = JSON.stringify([chain.id, endpoints, contracts]);
      const old = known.get(market.metadata.name);
      if (old?.id === id) return old.connection;
      const client = connectChain({ rpc: endpoints, chainId: chain.id, logger });
      const at = contractsSchema.parse(contracts);
      const connection = { client, contracts: at, views: marketViews(client, at), calls: marketCalls(at) };
      known.set(market.metadata.name, { id, connection });
      await old?.connection.client[Symbol.asyncDispose]();
      return connection;
    },
  };
};

const DECIMALS_CALL: Hex = '0x313ce567';

/** What of a market never changes. */
interface Constants {
  readonly decimals: ChainEntry['decimals'];
  readonly minStake: bigint;
  readonly minBond: bigint;
}

/** Errors of the chain as one kind; anything else is a fault of ours. */
export const readable = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ChainUnavailable || error instanceof WrongChain || error instanceof RpcError || error instanceof CallReverted) {
      throw new ChainNotReadable(error.message, { cause: error });
    }
    // ethers: the address answers with something else than the contract's types.
    if (error instanceof Error && 'code' in error && error.code === 'BAD_DATA') {
      throw new ChainNotReadable('a contract of spec.contracts does not answer as it should', { cause: error });
    }
    throw error;
  }
};

export const createChainPort = (connections: Connections, lanes: Lanes, keys: Keys): ChainPort => {
  const constants = new WeakMap<Connection, Constants>();

  const constantsOf = async (connection: Connection): Promise<Constants> => {
    const cached = constants.get(connection);
    if (cached) return cached;
    const { client, contracts, views } = connection;
    const decimals = async (to: Hex): Promise<number> => Number(BigInt(await client.call({ to, data: DECIMALS_CALL })));
    const [stake, payment, minStake, minBond] = await Promise.all([
      decimals(contracts.stakeToken),
      decimals(contracts.paymentToken),
      views.minStake(),
      views.minBond(),
    ]);
    const read = { decimals: { stake, payment }, minStake, minBond };
    constants.set(connection, read);
    return read;
  };

  const readEntry: (connection: Connection, query: Parameters<ChainPort['entry']>[1]) => Promise<ChainEntry> = async (
    connection,
    query,
  ) => {
    const { client, contracts, views } = connection;
    const { owner, modelId, account } = query;
    // One block for all reads, so that they fit together.
    const head = await client.head('latest');
    const at = head.number;
    const [provider, model, stake, fixed, native, stakeBalance, paymentBalance] = await Promise.all([
      views.provider(owner, at),
      views.model(modelId, at),
      views.stake(modelId, at),
      constantsOf(connection),
      account === undefined ? 0n : client.balance(account, at),
      account === undefined ? 0n : views.balance(contracts.stakeToken, account, at),
      account === undefined ? 0n : views.balance(contracts.paymentToken, account, at),
    ]);
    const known = model.status !== 'none';
    const versionId = versionIdOf(keccak256, modelId, model.latestVersion);
    const [version, prices, endpoint] = await Promise.all([
      known ? views.version(versionId, at) : undefined,
      views.prices(modelId, at),
      known ? views.endpoint(modelId, at) : '',
    ]);
    return {
      provider,
      model,
      version: version && { versionId, manifestHash: version.manifestHash, verificationRoot: version.verificationRoot, mode: version.mode },
      prices,
      endpoint,
      stake,
      ...fixed,
      balances: { native, stake: stakeBalance, payment: paymentBalance },
      headTimestamp: head.timestamp,
    };
  };

  return {
    entry: async (market, query) => {
      const connection = await connections.of(market).catch((error: unknown) => {
        throw error instanceof ChainNotReadable
          ? error
          : new ChainNotReadable(error instanceof Error ? error.message : 'the RPC URL cannot be read');
      });
      return readable(async () => {
        if (query.account !== undefined) await lanes.settled(connection.client, query.account);
        return readEntry(connection, query);
      });
    },
    send: async (market, reference: KeyReference, model, action) => {
      const key = await keys.signer(reference);
      if (key.state !== 'present') return { ok: false, reason: 'KeyUnavailable', message: key.message };
      const connection = await connections.of(market);
      return sendAction(connection, lanes, lanes.of(connection.client, key.signer), model, action);
    },
  };
};
