import type { Keccak256 } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import type { Logger } from '@cupel/protocol/log';

import { commitData, commitOf, inOrder, isDrawn, setRootOf } from '../sample/epoch.ts';
import type { Commitment, Epoch, VerifierState } from '../state.ts';

export interface EpochChain {
  /**
   * Sends the commitment, once per key also after a crash, and waits for its block; undefined: it is not in one yet, call again.
   * Throws when the chain refuses it.
   */
  commit(key: string, data: Hex): Promise<Commitment | undefined>;
  /** Where it stands in the current chain; undefined: that cannot be said now. */
  commitment(key: string): Promise<Commitment | undefined>;
  height(tag: 'latest' | 'finalized'): Promise<number>;
  blockHash(number: number): Promise<Hex | undefined>;
}

export interface EpochsDeps {
  readonly state: VerifierState;
  readonly chain: EpochChain;
  readonly keccak: Keccak256;
  readonly epochMs: number;
  readonly rate: number;
  readonly beaconDelayBlocks: number;
  readonly nowMs: () => number;
  readonly randomBytes32: () => Hex;
  readonly logger: Logger;
  readonly onDrawn: (epoch: number, receipts: number, drawn: number) => void;
  /** Something happened in the background: look again. */
  readonly wake: () => void;
}

/** While the chain takes no commitments, receipts wait instead of epochs. */
const MOST_UNCOMMITTED = 4;
const MOST_RECEIPTS = 50_000;

/** Closes epochs and brings each to its draw. Several are under way at a time; an epoch without receipts does not exist. */
export const createEpochs = (deps: EpochsDeps) => {
  const { state, chain, keccak, nowMs, logger } = deps;
  const sending = new Set<number>();

  const closeIfDue = (): void => {
    const waiting = state.waiting();
    if (waiting.receipts === 0 || nowMs() - waiting.oldestMs < deps.epochMs) return;
    if (state.openEpochs().filter((e) => e.state === 'closed').length >= MOST_UNCOMMITTED) return;
    const receipts = inOrder(state.heldIn(undefined)).slice(0, MOST_RECEIPTS);
    const number = state.lastEpoch() + 1;
    const seed = deps.randomBytes32();
    const epoch: Epoch = {
      number,
      state: 'closed',
      seed,
      rate: deps.rate,
      beaconDelayBlocks: deps.beaconDelayBlocks,
      commit: commitOf(keccak, seed, number),
      setRoot: setRootOf(keccak, receipts),
      commitment: undefined,
      beacon: undefined,
    };
    state.closeEpoch(
      epoch,
      receipts.map((r) => r.digest),
      nowMs(),
    );
  };

  const send = (epoch: Epoch): void => {
    if (sending.has(epoch.number)) return;
    sending.add(epoch.number);
    const work = async (): Promise<void> => {
      const commitment = await chain.commit(keyOf(epoch), commitData(epoch.commit, epoch.setRoot));
      if (!commitment) return;
      state.setCommitment(epoch.number, commitment);
      deps.wake();
    };
    work()
      .catch((err: unknown) => logger.error({ err, epoch: epoch.number }, 'an epoch could not be committed to; it is tried again'))
      .finally(() => sending.delete(epoch.number));
  };

  const draw = async (epoch: Epoch, commitment: Commitment, latest: number): Promise<void> => {
    const block = commitment.block + epoch.beaconDelayBlocks;
    if (latest < block) return;
    const now = await chain.commitment(keyOf(epoch));
    if (!now) return;
    if (!same(now, commitment)) return state.setCommitment(epoch.number, now);
    const hash = await chain.blockHash(block);
    if (hash === undefined) return;
    const held = state.heldIn(epoch.number);
    const drawn = held.filter(({ digest }) => isDrawn(keccak, { beacon: hash, seed: epoch.seed, digest, rate: epoch.rate }));
    state.setDraw(
      epoch.number,
      { block, hash },
      drawn.map((r) => r.digest),
    );
    deps.onDrawn(epoch.number, held.length, drawn.length);
  };

  /** Both blocks are final: the draw stands. If one of them left the chain, the draw would not be reproduced, so it is made anew. */
  const settle = async (epoch: Epoch): Promise<void> => {
    if (!epoch.beacon) return;
    const [commitment, hash] = await Promise.all([chain.commitment(keyOf(epoch)), chain.blockHash(epoch.beacon.block)]);
    if (!commitment || hash === undefined) return;
    if (same(commitment, epoch.commitment) && hash === epoch.beacon.hash) return state.setFinal(epoch.number);
    logger.warn({ epoch: epoch.number, block: epoch.beacon.block }, 'the chain was reorganised under a draw; it is drawn anew');
    state.setCommitment(epoch.number, commitment);
  };

  return {
    async run(): Promise<void> {
      closeIfDue();
      const open = state.openEpochs();
      for (const epoch of open) if (epoch.state === 'closed') send(epoch);
      if (open.some((e) => e.state === 'committed')) {
        const latest = await chain.height('latest');
        for (const epoch of open) if (epoch.state === 'committed' && epoch.commitment) await draw(epoch, epoch.commitment, latest);
      }
      const drawn = open.filter((e) => e.state === 'drawn');
      if (drawn.length === 0) return;
      const finalized = await chain.height('finalized');
      for (const epoch of drawn) if (epoch.beacon && epoch.beacon.block <= finalized) await settle(epoch);
    },
  };
};

/** With a part of the commitment: a state that was lost starts at 1 again, with other seeds. */
const keyOf = (epoch: Epoch): string => `commit:${epoch.number}:${epoch.commit.slice(2, 18)}`;

const same = (a: Commitment, b: Commitment | undefined): boolean => a.tx === b?.tx && a.block === b.block;
