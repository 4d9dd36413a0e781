import type { Hex } from '@cupel/protocol/hex';
import { baseUnits } from '@cupel/protocol/money';
import type { BaseUnits } from '@cupel/protocol/money';
import type { ChannelState, DisputeState, HeadState, RegistryEntry } from '@cupel/protocol/wire/projections';

import type { ChannelFacts } from './ledger/channel.ts';
import { observeDeposit, settleDeposit } from './voucher/finality.ts';
import type { DepositHistory } from './voucher/finality.ts';

/** What the chain says, as the watcher projects it; fed by changes, asked by the calls. */
export interface Facts {
  headChanged(key: string, state: HeadState | undefined): void;
  channelChanged(key: string, state: ChannelState | undefined): void;
  registryChanged(key: string, entry: RegistryEntry | undefined): void;
  disputeChanged(key: string, state: DisputeState | undefined): void;
  channel(channelId: Hex): ChannelFacts;
  /** The newest block is older than the limit, or none has been seen. */
  isStale(): boolean;
  /** undefined: the registry has not been seen to have it. */
  ownerOf(modelId: Hex): Hex | undefined;
  hasArbiter(versionId: Hex): boolean | undefined;
  /** Unix milliseconds of the last sign of life of the chain; undefined: none. */
  seenAtMs(): number | undefined;
  /** Unix seconds of the newest block: the contracts' clock; undefined: none seen. */
  chainSeconds(): number | undefined;
}

export interface FactsOptions {
  readonly nowMs: () => number;
  readonly staleAfterMs: number;
  /** The final deposit that the ledger remembers from before a restart. */
  readonly rememberedDeposit: (channelId: Hex) => BaseUnits | undefined;
  /** The market's other channels are not kept: anybody may open any number of them. */
  readonly isOurs: (state: ChannelState) => boolean;
  readonly onChannel: (channelId: Hex, facts: ChannelFacts) => void;
  /** Told once the verdict is final; perhaps more than once. */
  readonly onUpheld: (dispute: DisputeState) => void;
}

export interface Own {
  readonly payee: Hex;
  /** The payment token. */
  readonly token: Hex;
  /** A gateway's: owns the channels to providers. */
  readonly payer: Hex | undefined;
  /** Does the ledger have the channel? The configured addresses may have been others before. */
  readonly isKnown: (channelId: Hex) => boolean;
}

/** Channels in the market's token that pay us or that we pay, and those in the ledger. */
export const ownChannels =
  ({ payee, token, payer, isKnown }: Own) =>
  ({ channelId, descriptor }: ChannelState): boolean =>
    (descriptor.token === token && (descriptor.payee === payee || descriptor.payer === payer)) || isKnown(channelId);

/** A channel that is away must stay away this long, under a fresh head, before it counts as undone by a reorg: buckets may be lost and rebuilt. */
const GONE_AFTER_MS = 30_000;

const UNKNOWN: ChannelFacts = { deposit: baseUnits(0n), settled: baseUnits(0n), closeAt: 0, status: 'unknown' };
const ZERO_ADDRESS: Hex = `0x${'00'.repeat(20)}`;

interface Seen {
  readonly state: ChannelState;
  readonly history: DepositHistory;
  readonly goneAtMs?: number;
}

const withPrefix = (key: string): Hex => `0x${key}`;

export const createFacts = (options: FactsOptions): Facts => {
  const heads = new Map<string, HeadState>();
  const channels = new Map<Hex, Seen>();
  const pending = new Set<Hex>();
  const owners = new Map<Hex, Hex>();
  const arbiters = new Map<Hex, boolean>();
  /** `atBlock` undefined: seen before the first head, and to be counted from it. */
  const verdicts = new Map<string, { readonly dispute: DisputeState; readonly atBlock: number | undefined }>();

  const numbers = () => ({ latest: heads.get('latest')?.number, safe: heads.get('safe')?.number });
  const isStale = (): boolean => options.nowMs() - (heads.get('latest')?.seenAtMs ?? 0) > options.staleAfterMs;

  const remembered = (channelId: Hex): DepositHistory | undefined => {
    const final = options.rememberedDeposit(channelId);
    return final === undefined || final === 0n ? undefined : { final, coming: [] };
  };

  const factsOf = (channelId: Hex): ChannelFacts => {
    const seen = channels.get(channelId);
    if (!seen) return UNKNOWN;
    const { state, history } = seen;
    return { deposit: history.final, settled: baseUnits(state.settled), closeAt: state.closeAt, status: state.status };
  };

  const set = (channelId: Hex, seen: Seen): void => {
    channels.set(channelId, seen);
    if (seen.history.coming.length > 0 || seen.goneAtMs !== undefined) pending.add(channelId);
    else pending.delete(channelId);
    options.onChannel(channelId, factsOf(channelId));
  };

  const settlePending = (): void => {
    for (const channelId of pending) {
      const seen = channels.get(channelId);
      if (!seen) continue;
      if (seen.goneAtMs !== undefined && options.nowMs() - seen.goneAtMs > GONE_AFTER_MS && !isStale()) {
        channels.delete(channelId);
        pending.delete(channelId);
        options.onChannel(channelId, UNKNOWN);
        continue;
      }
      const history = settleDeposit(seen.history, numbers());
      if (history !== seen.history) set(channelId, { ...seen, history });
    }
    const { latest, safe } = numbers();
    for (const [key, { dispute, atBlock = latest }] of verdicts) {
      if (atBlock !== undefined) verdicts.set(key, { dispute, atBlock });
      if (safe === undefined || atBlock === undefined || safe < atBlock) continue;
      verdicts.delete(key);
      options.onUpheld(dispute);
    }
  };

  return {
    headChanged(key, state) {
      // A lost bucket is no news: what was seen last grows stale by itself.
      if (!state) return;
      heads.set(key, state);
      settlePending();
    },
    channelChanged(key, state) {
      const channelId = withPrefix(key);
      const seen = channels.get(channelId);
      if (!state) {
        if (seen) set(channelId, { ...seen, goneAtMs: seen.goneAtMs ?? options.nowMs() });
        return;
      }
      if (!seen && !options.isOurs(state)) return;
      set(channelId, { state, history: observeDeposit(seen?.history ?? remembered(channelId), state, numbers()) });
    },
    registryChanged(_key, entry) {
      if (!entry) return;
      owners.set(entry.modelId, entry.owner);
      arbiters.set(entry.versionId, entry.arbiter !== ZERO_ADDRESS);
    },
    disputeChanged(key, dispute) {
      if (dispute?.status !== 'upheld') {
        verdicts.delete(key);
        return;
      }
      verdicts.set(key, { dispute, atBlock: numbers().latest });
      settlePending();
    },
    channel: factsOf,
    isStale,
    ownerOf: (modelId) => owners.get(modelId),
    hasArbiter: (versionId) => arbiters.get(versionId),
    seenAtMs: () => heads.get('latest')?.seenAtMs,
    chainSeconds: () => heads.get('latest')?.timestamp,
  };
};
