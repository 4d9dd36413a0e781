import type { Hex } from '@cupel/protocol/hex';
import type { Logger } from '@cupel/protocol/log';
import type { Clock } from '@cupel/protocol/time';
import type { Signer } from '@cupel/signing/secp256k1';

import type { ChainClient, TransactionReceipt } from './client.ts';
import type { DecodedError } from './errors.ts';
import type { TransactionJournal } from './journal.ts';
import { createPump } from './lane-pump.ts';

/** A transaction to be: what `contracts.ts` builds. */
export interface Call {
  readonly to: Hex;
  readonly data: Hex;
  readonly value?: bigint;
}

export interface Intent {
  /**
   * Idempotency key: two sends with one key are one transaction, also after a crash. An effect that failed on chain and is to be tried again
   * needs a new key; one that was refused in simulation does not.
   */
  readonly key: string;
  /** For people and metrics: "redeem", "challenge". */
  readonly purpose: string;
  readonly call: Call;
  /** Gas; default: estimate and a quarter. */
  readonly gas?: bigint;
  /** How long `send` waits for a block; default 60 s. The lane goes on watching after that. */
  readonly waitMs?: number;
}

export type Outcome =
  /** In a block of the current chain. */
  | { readonly kind: 'mined'; readonly hash: Hex; readonly receipt: TransactionReceipt }
  /** `simulated`: the contract refused before anything was sent, and the key may be used again. Else it failed on chain and cost gas. */
  | { readonly kind: 'reverted'; readonly simulated: boolean; readonly hash?: Hex; readonly error: DecodedError }
  /** Broadcast, not in a block yet; the lane watches and raises the fee. */
  | { readonly kind: 'pending'; readonly hash: Hex }
  /** It cannot be said whether it was or will be sent: ask again with the same key, never with a new one. */
  | { readonly kind: 'unknown'; readonly message: string };

/** Called as things happen; for metrics. */
export interface LaneObserver {
  sent?(purpose: string): void;
  raised?(purpose: string): void;
  mined?(purpose: string, receipt: TransactionReceipt): void;
  reverted?(purpose: string, simulated: boolean): void;
}

export interface LaneOptions {
  readonly client: ChainClient;
  readonly signer: Signer;
  readonly journal: TransactionJournal;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer?: LaneObserver;
  /** Pause between looks at the chain; default 1000. */
  readonly pollMs?: number;
  /** Blocks without inclusion until the fee is raised; default 6. */
  readonly raiseAfterBlocks?: number;
  /** Most wei per gas that is ever offered; default 500 gwei. */
  readonly maxFeePerGas?: bigint;
}

/** The one sender of one key on one chain: orders nonces, survives crashes, raises fees. */
export interface Lane extends AsyncDisposable {
  readonly address: Hex;
  /** Never throws for what the chain does: see {@link Outcome}. */
  send(intent: Intent): Promise<Outcome>;
  /** undefined: this lane has never recorded the key. */
  outcome(key: string): Promise<Outcome | undefined>;
  /** For a health check: undefined, or what is wrong. */
  status(): string | undefined;
}

const DEFAULT_WAIT_MS = 60_000;

/**
 * Opens the lane of `signer`. The rule: what is meant is in the journal before anything is signed, and what is signed is in the journal
 * before it is broadcast; after a crash the same bytes go out again. The lane begins at once to watch what the journal left open, and sends
 * nothing new while the account has pending transactions that the journal does not know.
 */
export const openLane = (options: LaneOptions): Lane => {
  const { client, journal, logger, clock } = options;
  const lane = `${client.chainId}:${options.signer.address}`;
  const waiters = new Map<string, Set<(outcome: Outcome) => void>>();
  const settle = (key: string, outcome: Outcome): void => {
    for (const resolve of waiters.get(key) ?? []) resolve(outcome);
    waiters.delete(key);
  };
  const pump = createPump({
    client,
    signer: options.signer,
    journal,
    logger,
    lane,
    observer: options.observer ?? {},
    raiseAfterBlocks: options.raiseAfterBlocks ?? 6,
    maxFeePerGas: options.maxFeePerGas ?? 500_000_000_000n,
    settle,
  });

  const stop = new AbortController();
  let wake = (): void => undefined;
  let woken = false;
  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      woken = false;
      await pump.run().catch((err: unknown) => logger.warn({ err, lane }, 'the lane could not look at the chain; it tries again'));
      if (!woken && !stop.signal.aborted) await pauseOr(options.pollMs ?? 1000, (f) => (wake = f));
    }
  };
  const nudge = (): void => {
    woken = true;
    wake();
  };
  const done = loop();

  const current = (key: string): Outcome | undefined => {
    const entry = journal.get(lane, key);
    if (!entry) return undefined;
    const last = entry.attempts.at(-1);
    return last ? { kind: 'pending', hash: last.hash } : { kind: 'unknown', message: pump.problem() ?? 'it waits for its turn' };
  };

  const wait = (key: string, waitMs: number): Promise<Outcome> =>
    new Promise((resolve) => {
      const finish = (outcome: Outcome): void => {
        clearTimeout(timer);
        waiters.get(key)?.delete(finish);
        resolve(outcome);
      };
      const timer = setTimeout(() => finish(current(key) ?? { kind: 'unknown', message: 'the journal does not know it' }), waitMs);
      const set = waiters.get(key) ?? new Set();
      waiters.set(key, set.add(finish));
      nudge();
    });

  return {
    address: options.signer.address,
    async send({ key, purpose, call, gas, waitMs = DEFAULT_WAIT_MS }) {
      if (stop.signal.aborted) return { kind: 'unknown', message: 'the lane is closed' };
      const known = journal.get(lane, key);
      if (known && known.data !== call.data) {
        logger.warn({ lane, intent: key, purpose }, 'this key was recorded for another call, which stands');
      }
      if (!known) {
        const { to, data, value = 0n } = call;
        journal.put({ key, lane, purpose, to, data, value, gas: gas ?? 0n, state: 'intended', attempts: [], createdAtMs: clock.nowMs() });
      }
      const outcome = wait(key, waitMs);
      if (known) await pump.settled(known).then((already) => already && settle(key, already));
      return outcome;
    },
    async outcome(key) {
      const entry = journal.get(lane, key);
      return entry && ((await pump.settled(entry)) ?? current(key));
    },
    status: () => pump.problem(),
    async [Symbol.asyncDispose]() {
      stop.abort();
      nudge();
      await done;
      for (const key of waiters.keys()) settle(key, current(key) ?? { kind: 'unknown', message: 'the lane was closed' });
    },
  };
};

const pauseOr = (ms: number, onWake: (wake: () => void) => void): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    onWake(() => {
      clearTimeout(timer);
      resolve();
    });
  });
