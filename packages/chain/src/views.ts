import type { Receipt } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import { baseUnits } from '@cupel/protocol/money';
import type { Prices } from '@cupel/protocol/money';
import type { Contracts } from '@cupel/protocol/wire/config';
import { MODES } from '@cupel/protocol/wire/projections';
import type { Mode } from '@cupel/protocol/wire/projections';
import type { Interface, Result } from 'ethers';

import type { At, ChainClient } from './client.ts';
import { dataStoreInterface, interfaces } from './contracts.ts';
import { decodeText } from './text.ts';

export interface ModelView {
  readonly owner: Hex;
  readonly latestVersion: number;
  readonly registeredAtBlock: number;
  readonly status: 'none' | 'active' | 'retired' | 'suspended';
  readonly faults: number;
}

export interface VersionView {
  readonly modelId: Hex;
  readonly manifestHash: Hex;
  readonly verificationRoot: Hex;
  readonly mode: Mode;
  readonly arbiter: Hex;
}

export interface StakeView {
  readonly free: bigint;
  readonly locked: bigint;
  readonly unbonding: bigint;
  /** Unix seconds; 0 before the exit starts. */
  readonly unbondEnd: number;
  readonly bond: bigint;
}

export interface ChannelView {
  readonly deposit: bigint;
  readonly settled: bigint;
  /** Unix seconds; 0 while open. */
  readonly closeAt: number;
  readonly status: 'none' | 'open' | 'closing' | 'closed';
}

export interface ClaimView {
  readonly versionId: Hex;
  readonly root: Hex;
  readonly count: number;
  readonly maxPrice: bigint;
  readonly lock: bigint;
  readonly postedAt: number;
  readonly finalizableAt: number;
  readonly status: 'none' | 'open' | 'final';
}

const MODEL_STATUS = ['none', 'active', 'retired', 'suspended'] as const;
const CHANNEL_STATUS = ['none', 'open', 'closing', 'closed'] as const;
const CLAIM_STATUS = ['none', 'open', 'final'] as const;
const VERDICT = ['none', 'open', 'upheld'] as const;

/** Reads of Cupel's contracts. Each takes a block to read at; default latest. Errors as of `ChainClient.call`. */
export const marketViews = (client: Pick<ChainClient, 'call'>, at: Contracts) => {
  const read = async (face: Interface, to: Hex, name: string, args: readonly unknown[], block?: At): Promise<Result> =>
    face.decodeFunctionResult(name, await client.call({ to, data: face.encodeFunctionData(name, args) as Hex }, block));
  const one = async (face: Interface, to: Hex, name: string, args: readonly unknown[], block?: At): Promise<unknown> =>
    (await read(face, to, name, args, block))[0];
  const fields = async (face: Interface, to: Hex, name: string, args: readonly unknown[], block?: At): Promise<Result> =>
    (await read(face, to, name, args, block))[0] as Result;
  const registry = interfaces.modelRegistry;
  const vault = interfaces.stakeVault;
  return {
    async model(modelId: Hex, block?: At): Promise<ModelView> {
      const m = await fields(registry, at.modelRegistry, 'model', [modelId], block);
      return {
        owner: hex(m['owner']),
        latestVersion: Number(m['latestVersion']),
        registeredAtBlock: Number(m['registeredAt']),
        status: MODEL_STATUS[Number(m['status'])]!,
        faults: Number(m['faults']),
      };
    },
    async version(versionId: Hex, block?: At): Promise<VersionView> {
      const v = await fields(registry, at.modelRegistry, 'version', [versionId], block);
      return {
        modelId: hex(v['modelId']),
        manifestHash: hex(v['manifestHash']),
        verificationRoot: hex(v['verificationRoot']),
        mode: MODES[Number(v['mode'])]!,
        arbiter: hex(v['arbiter']),
      };
    },
    async provider(owner: Hex, block?: At): Promise<{ operator: Hex; payout: Hex }> {
      const p = await fields(registry, at.modelRegistry, 'provider', [owner], block);
      return { operator: hex(p['operator']), payout: hex(p['payout']) };
    },
    async prices(modelId: Hex, block?: At): Promise<Prices> {
      const p = await fields(registry, at.modelRegistry, 'pricesOf', [modelId], block);
      return {
        inputPerMillion: baseUnits(p['inputPerMillion'] as bigint),
        outputPerMillion: baseUnits(p['outputPerMillion'] as bigint),
        perRequest: baseUnits(p['perRequest'] as bigint),
      };
    },
    endpoint: async (modelId: Hex, block?: At): Promise<string> =>
      decodeText(await client.call({ to: at.modelRegistry, data: registry.encodeFunctionData('endpointOf', [modelId]) as Hex }, block)),
    receiptDigest: async (receipt: Receipt, block?: At): Promise<Hex> =>
      hex(await one(registry, at.modelRegistry, 'receiptDigest', [receipt], block)),
    async stake(modelId: Hex, block?: At): Promise<StakeView> {
      const a = await fields(vault, at.stakeVault, 'account', [modelId], block);
      return {
        free: a['free'] as bigint,
        locked: a['locked'] as bigint,
        unbonding: a['unbonding'] as bigint,
        unbondEnd: Number(a['unbondEnd']),
        bond: a['bond'] as bigint,
      };
    },
    isStaked: async (modelId: Hex, block?: At): Promise<boolean> =>
      (await one(vault, at.stakeVault, 'isStaked', [modelId], block)) as boolean,
    minStake: async (block?: At): Promise<bigint> => (await one(vault, at.stakeVault, 'minStake', [], block)) as bigint,
    minBond: async (block?: At): Promise<bigint> => (await one(vault, at.stakeVault, 'minBond', [], block)) as bigint,
    async channel(channelId: Hex, block?: At): Promise<ChannelView> {
      const c = await fields(interfaces.paymentChannels, at.paymentChannels, 'channel', [channelId], block);
      return {
        deposit: c['deposit'] as bigint,
        settled: c['settled'] as bigint,
        closeAt: Number(c['closeAt']),
        status: CHANNEL_STATUS[Number(c['status'])]!,
      };
    },
    redeemer: async (payee: Hex, block?: At): Promise<Hex> =>
      hex(await one(interfaces.paymentChannels, at.paymentChannels, 'redeemerOf', [payee], block)),
    async claim(claimId: Hex, block?: At): Promise<ClaimView> {
      const c = await fields(interfaces.claimManager, at.claimManager, 'claim', [claimId], block);
      return {
        versionId: hex(c['versionId']),
        root: hex(c['root']),
        count: Number(c['count']),
        maxPrice: c['maxPrice'] as bigint,
        lock: c['lock'] as bigint,
        postedAt: Number(c['postedAt']),
        finalizableAt: Number(c['finalizableAt']),
        status: CLAIM_STATUS[Number(c['status'])]!,
      };
    },
    claimId: async (versionId: Hex, root: Hex, block?: At): Promise<Hex> =>
      hex(await one(interfaces.claimManager, at.claimManager, 'claimIdOf', [versionId, root], block)),
    verdict: async (receiptDigest: Hex, block?: At): Promise<'none' | 'open' | 'upheld'> =>
      VERDICT[Number(await one(interfaces.disputeManager, at.disputeManager, 'verdict', [receiptDigest], block))]!,
    balance: async (token: Hex, holder: Hex, block?: At): Promise<bigint> =>
      (await one(interfaces.paymentToken, token, 'balanceOf', [holder], block)) as bigint,
    allowance: async (token: Hex, owner: Hex, spender: Hex, block?: At): Promise<bigint> =>
      (await one(interfaces.paymentToken, token, 'allowance', [owner, spender], block)) as bigint,
    /** EIP-2612 nonce of `owner`. */
    permitNonce: async (token: Hex, owner: Hex, block?: At): Promise<bigint> =>
      (await one(interfaces.paymentToken, token, 'nonces', [owner], block)) as bigint,
    /** Where DataStore.store(data) puts, or has put, this data. */
    dataAddress: async (dataStore: Hex, data: Hex, block?: At): Promise<Hex> =>
      hex(await one(dataStoreInterface, dataStore, 'addressOf', [data], block)),
  };
};

export type MarketViews = ReturnType<typeof marketViews>;

const hex = (value: unknown): Hex => String(value).toLowerCase() as Hex;
