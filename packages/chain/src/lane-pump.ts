import type { Logger } from '@cupel/protocol/log';
import type { Hex } from '@cupel/protocol/hex';
import type { Signer } from '@cupel/signing/secp256k1';

import { CallReverted, RpcError } from './client.ts';
import type { ChainClient, TransactionReceipt } from './client.ts';
import { decodeError } from './errors.ts';
import type { DecodedError } from './errors.ts';
import { raisedFees } from './fees.ts';
import type { Fees } from './fees.ts';
import type { JournalEntry, TransactionJournal } from './journal.ts';
import type { LaneObserver, Outcome } from './lane.ts';
import { signTransaction } from './sign.ts';

interface PumpOptions {
  readonly client: ChainClient;
  readonly signer: Signer;
  readonly journal: TransactionJournal;
  readonly logger: Logger;
  readonly lane: string;
  readonly observer: LaneObserver;
  readonly raiseAfterBlocks: number;
  readonly maxFeePerGas: bigint;
  readonly settle: (key: string, outcome: Outcome) => void;
}

/** One look at the chain and what follows from it, for every open entry. Never runs twice at a time: the lane's loop calls it. */
export const createPump = (o: PumpOptions) => {
  const { client, journal, logger, lane } = o;
  let problem: string | undefined;
  /** Head at the last look: while it stands, nothing happens to what is mined. */
  let lookedAt: Hex | undefined;
  /** Re-broadcast once per block at most. */
  const broadcastAt = new Map<Hex, number>();

  const put = (entry: JournalEntry): JournalEntry => {
    journal.put(entry);
    return entry;
  };

  const findReceipt = async (entry: JournalEntry): Promise<TransactionReceipt | undefined> => {
    for (const attempt of entry.attempts.toReversed()) {
      const receipt = await client.receipt(attempt.hash);
      if (receipt) return receipt;
    }
    return undefined;
  };

  /** The outcome of an entry that stands in a block; undefined when it does not (any more). */
  const settled = async (entry: JournalEntry): Promise<Outcome | undefined> => {
    if (!entry.mined) return undefined;
    const receipt = await client.receipt(entry.mined.hash).catch(() => undefined);
    return receipt && outcomeOf(entry, receipt);
  };

  const outcomeOf = async (entry: JournalEntry, receipt: TransactionReceipt): Promise<Outcome> =>
    receipt.success
      ? { kind: 'mined', hash: receipt.hash, receipt }
      : { kind: 'reverted', simulated: false, hash: receipt.hash, error: await whyReverted(entry, receipt) };

  /** A node keeps no reason for a failed transaction: the call is repeated on the state before its block. */
  const whyReverted = async (entry: JournalEntry, receipt: TransactionReceipt): Promise<DecodedError> => {
    try {
      await client.call(
        { to: entry.to, data: entry.data, value: entry.value, from: o.signer.address, gas: entry.gas },
        receipt.blockNumber - 1,
      );
    } catch (error) {
      if (error instanceof CallReverted) return decodeError(error.data);
    }
    return {
      ...decodeError('0x'),
      message: 'the transaction failed in its block, but not on the state before it: another one came first, or gas ran out',
    };
  };

  const broadcast = async (entry: JournalEntry, head: number): Promise<void> => {
    const last = entry.attempts.at(-1);
    if (!last) return;
    broadcastAt.set(last.hash, head);
    try {
      await client.sendRaw(last.raw);
      problem = undefined;
    } catch (err) {
      problem = `${entry.purpose} cannot be broadcast: ${err instanceof Error ? err.message : 'unknown error'}`;
      logger.warn(
        { err, lane, intent: entry.key, nonce: entry.nonce, hash: last.hash },
        'a transaction was not taken; the same bytes are sent again',
      );
      if (!(err instanceof RpcError)) broadcastAt.delete(last.hash);
      if (err instanceof RpcError && /underpriced/i.test(err.message)) await raise(entry, head);
    }
  };

  const signed = (entry: JournalEntry & { readonly nonce: number }, fees: Fees, head: number): JournalEntry => {
    const { raw, hash } = signTransaction(o.signer, { ...entry, ...fees, chainId: client.chainId });
    return { ...entry, state: 'sent', attempts: [...entry.attempts, { raw, hash, ...fees, atBlock: head }] };
  };

  const raise = async (entry: JournalEntry, head: number): Promise<void> => {
    const last = entry.attempts.at(-1);
    const { nonce } = entry;
    if (!last || nonce === undefined || entry.attempts.length >= MAX_ATTEMPTS) return;
    const fees = raisedFees(last, await client.fees(), o.maxFeePerGas);
    if (!fees) {
      problem = `${entry.purpose} waits for a lower base fee: the cap of ${o.maxFeePerGas} wei per gas is reached`;
      return;
    }
    const next = put(signed({ ...entry, nonce }, fees, head));
    o.observer.raised?.(entry.purpose);
    logger.info({ lane, intent: entry.key, nonce, attempts: next.attempts.length, maxFeePerGas: fees.maxFeePerGas }, 'the fee was raised');
    const raw = next.attempts.at(-1)!;
    broadcastAt.set(raw.hash, head);
    await client.sendRaw(raw.raw).catch((err: unknown) => logger.warn({ err, lane, intent: entry.key }, 'the replacement was not taken'));
  };

  /** undefined: go on; else the refusal. With others in flight a refusal may be theirs to lift, so it counts only when the lane is empty. */
  const simulate = async (entry: JournalEntry, inFlight: boolean): Promise<{ gas: bigint } | DecodedError | 'later'> => {
    const call = { to: entry.to, data: entry.data, value: entry.value, from: o.signer.address };
    const at = inFlight ? 'pending' : 'latest';
    try {
      await client.call(call, at);
      if (entry.gas > 0n) return { gas: entry.gas };
      const estimate = await client.estimate(call, at);
      return { gas: estimate + estimate / 4n };
    } catch (error) {
      if (!(error instanceof CallReverted)) throw error;
      return inFlight ? 'later' : decodeError(error.data);
    }
  };

  const start = async (entry: JournalEntry, nonce: number, inFlight: boolean, head: number): Promise<boolean> => {
    const simulated = await simulate(entry, inFlight);
    if (simulated === 'later') return false;
    if (!('gas' in simulated)) {
      journal.remove(lane, entry.key);
      o.observer.reverted?.(entry.purpose, true);
      o.settle(entry.key, { kind: 'reverted', simulated: true, error: simulated });
      return true;
    }
    const asked = await client.fees();
    const fees = {
      maxFeePerGas: least(asked.maxFeePerGas, o.maxFeePerGas),
      maxPriorityFeePerGas: least(asked.maxPriorityFeePerGas, o.maxFeePerGas),
    };
    const sent = put(signed({ ...entry, gas: simulated.gas, nonce }, fees, head));
    o.observer.sent?.(entry.purpose);
    await broadcast(sent, head);
    return true;
  };

  const watch = async (entry: JournalEntry, heads: Heads): Promise<void> => {
    const receipt = await findReceipt(entry);
    if (receipt) return mined(entry, receipt, heads);
    const { mined: _gone, ...rest } = entry;
    const sent = entry.mined ? put({ ...rest, state: 'sent' }) : entry;
    if (entry.mined) {
      broadcastAt.clear();
      logger.warn({ lane, intent: entry.key, hash: entry.mined.hash }, 'a transaction left the chain; it is sent again');
    }
    if (entry.nonce !== undefined && heads.finalNonce > entry.nonce) return replaced(sent);
    const last = sent.attempts.at(-1);
    if (!last) return;
    if (heads.latest - last.atBlock >= o.raiseAfterBlocks) return raise(sent, heads.latest);
    if ((broadcastAt.get(last.hash) ?? -1) < heads.latest) await broadcast(sent, heads.latest);
  };

  const mined = async (entry: JournalEntry, receipt: TransactionReceipt, heads: Heads): Promise<void> => {
    const { hash, blockNumber, blockHash, success } = receipt;
    const state = blockNumber <= heads.finalized ? 'final' : 'mined';
    const news = entry.mined?.blockHash !== blockHash;
    if (news || state !== entry.state) put({ ...entry, state, mined: { hash, blockNumber, blockHash, success } });
    if (!news) return;
    problem = undefined;
    if (success) o.observer.mined?.(entry.purpose, receipt);
    else o.observer.reverted?.(entry.purpose, false);
    o.settle(entry.key, await outcomeOf(entry, receipt));
  };

  /** Its nonce was used, for good, by a transaction that is not ours: its own effect can no longer happen, so it may start afresh. */
  const replaced = (entry: JournalEntry): void => {
    const { nonce, ...rest } = entry;
    logger.error(
      { lane, intent: entry.key, nonce },
      'somebody else sends with this key: a nonce was taken; the transaction is signed anew',
    );
    put({ ...rest, state: 'intended', attempts: [] });
  };

  const run = async (): Promise<void> => {
    const before = journal.open(lane);
    if (before.length === 0) {
      problem = undefined;
      return;
    }
    const head = await client.head('latest');
    if (head.hash === lookedAt && before.every((e) => e.state === 'mined')) return;
    const heads = await look(head.number);
    for (const entry of before) if (entry.attempts.length > 0) await watch(entry, heads);
    lookedAt = head.hash;
    const open = journal.open(lane);
    const inFlight = open.filter((e) => e.state === 'sent');
    const known = open.flatMap((e) => (e.nonce === undefined ? [] : [e.nonce + 1]));
    let next = Math.max(heads.nonce, ...known);
    if (heads.pendingNonce > next) {
      problem = `the account ${o.signer.address} has ${heads.pendingNonce - next} pending transactions that this journal does not know; waiting for them`;
      logger.warn(
        { lane, nonce: next, pendingNonce: heads.pendingNonce },
        'pending transactions of somebody else, or of a life before: waiting for them',
      );
      return;
    }
    let flying = inFlight.length;
    for (const entry of open.filter((e) => e.state === 'intended')) {
      try {
        if (!(await start(entry, next, flying > 0, heads.latest))) return;
      } catch (err) {
        if (!(err instanceof RpcError)) throw err;
        problem = `${entry.purpose} cannot be prepared: ${err.message}`;
        logger.warn({ err, lane, intent: entry.key }, 'a transaction cannot be prepared; it is tried again');
        continue;
      }
      if (journal.get(lane, entry.key)?.nonce === next) {
        next += 1;
        flying += 1;
      }
    }
  };

  interface Heads {
    readonly latest: number;
    readonly finalized: number;
    readonly nonce: number;
    readonly pendingNonce: number;
    readonly finalNonce: number;
  }

  const look = async (latest: number): Promise<Heads> => {
    const { address } = o.signer;
    const [finalized, nonce, pendingNonce, finalNonce] = await Promise.all([
      client.head('finalized'),
      client.nonce(address, 'latest'),
      client.nonce(address, 'pending'),
      client.nonce(address, 'finalized'),
    ]);
    return { latest, finalized: finalized.number, nonce, pendingNonce, finalNonce };
  };

  return { run, settled, problem: () => problem };
};

const MAX_ATTEMPTS = 40;

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
