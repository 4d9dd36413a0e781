import type { ChainClient } from '@cupel/chain/client';
import { memoryJournal } from '@cupel/chain/journal-memory';
import { openLane } from '@cupel/chain/lane';
import type { Intent, Lane, LaneObserver } from '@cupel/chain/lane';
import type { Hex } from '@cupel/protocol/hex';
import type { Logger } from '@cupel/protocol/log';
import type { Clock } from '@cupel/protocol/time';
import type { Signer } from '@cupel/signing/secp256k1';

import { ChainNotReadable } from '../reconcilers/modelprovider/ports.ts';
import type { SendResult } from '../reconcilers/modelprovider/ports.ts';
import { createLocks } from './locks.ts';

/** One lane per (chain, signer), however many ModelProviders share the key. The journal is in memory: what counts is on the chain. */
export interface Lanes extends AsyncDisposable {
  of(client: ChainClient, signer: Signer): Lane;
  all(): readonly Lane[];
  /** Signing accounts seen so far. */
  addresses(chainId: bigint): readonly Hex[];
  /** One after the other per lane: for sequences that must not mix. */
  exclusive<T>(lane: Lane, work: () => Promise<T>): Promise<T>;
  send(lane: Lane, intent: Intent): Promise<SendResult>;
  /** Throws {@link ChainNotReadable} while transactions of an earlier process are pending: what is read then is not yet what will be. */
  settled(client: ChainClient, account: Hex): Promise<void>;
}

export interface LanesOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer?: LaneObserver;
  /** The fence: nothing is sent without the lease. */
  readonly leads: () => boolean;
}

export const createLanes = ({ clock, logger, observer, leads }: LanesOptions): Lanes => {
  const lanes = new Map<string, Lane>();
  const accounts = new Map<bigint, Set<Hex>>();
  const adopted = new Set<string>();
  const attempts = new Map<string, number>();
  const exclusive = createLocks();
  const idOf = (chainId: bigint, address: Hex): string => `${chainId}:${address}`;
  return {
    of(client, signer) {
      const id = idOf(client.chainId, signer.address);
      const known = lanes.get(id);
      if (known) return known;
      const lane = openLane({ client, signer, journal: memoryJournal(), clock, logger, ...(observer ? { observer } : {}), pollMs: 300 });
      lanes.set(id, lane);
      return lane;
    },
    all: () => [...lanes.values()],
    addresses: (chainId) => [...(accounts.get(chainId) ?? [])],
    exclusive: (lane, work) => exclusive(lane.address, work),
    async send(lane, intent) {
      if (!leads()) {
        adopted.clear();
        throw new Error('the lease was lost: nothing is sent');
      }
      const attempt = attempts.get(intent.key) ?? 0;
      const key = attempt === 0 ? intent.key : `${intent.key}#${attempt}`;
      const outcome = await lane.send({ waitMs: 45_000, ...intent, key });
      switch (outcome.kind) {
        case 'mined':
          return { ok: true };
        case 'reverted':
          // A key whose transaction failed on chain is used up.
          if (!outcome.simulated) attempts.set(intent.key, attempt + 1);
          return { ok: false, reason: 'TransactionReverted', message: `${intent.purpose} was refused: ${outcome.error.message}` };
        case 'pending':
          return {
            ok: false,
            reason: 'TransactionPending',
            message: `transaction ${outcome.hash} (${intent.purpose}) is not in a block yet`,
          };
        case 'unknown':
          return { ok: false, reason: 'TransactionPending', message: `${intent.purpose} could not be sent yet: ${outcome.message}` };
      }
    },
    async settled(client, account) {
      if (!leads()) adopted.clear();
      const id = idOf(client.chainId, account);
      accounts.set(client.chainId, (accounts.get(client.chainId) ?? new Set()).add(account));
      if (adopted.has(id)) return;
      const [latest, pending] = await Promise.all([client.nonce(account, 'latest'), client.nonce(account, 'pending')]);
      if (pending > latest)
        throw new ChainNotReadable(`${pending - latest} transactions that an earlier operator sent from ${account} are not in a block yet`);
      adopted.add(id);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...lanes.values()].map((lane) => lane[Symbol.asyncDispose]()));
    },
  };
};
