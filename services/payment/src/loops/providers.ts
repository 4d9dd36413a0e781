import { bytesToHex, hexToBytes } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import type { Keccak256 } from '@cupel/protocol/eip712';
import { channelIdOf } from '@cupel/protocol/ids';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import type { Logger } from '@cupel/protocol/log';
import { ZERO_BASE, ZERO_MICRO } from '@cupel/protocol/money';
import type { BaseUnits } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import { unixSeconds } from '@cupel/protocol/time';
import type { OutgoingRequest, OutgoingValue } from '@cupel/protocol/wire/bus';

import type { Cipher } from '../calls/incoming.ts';
import type { Facts } from '../facts.ts';
import {
  abandonOutgoing,
  cancelTopUp,
  observeOutgoing,
  planOutgoing,
  planTopUp,
  renewSession,
  retireOutgoing,
  signOutgoing,
} from '../ledger/outgoing.ts';
import type { LedgerStore } from '../ledger/records.ts';
import type { OutgoingRow, OutgoingSession } from '../ledger/rows.ts';
import { countedByProvider, isUsedUp } from '../quote/prepaid.ts';
import type { PrepaidLimits } from '../quote/prepaid.ts';
import type { SettlementOutcome } from '../settle/redeem.ts';
import type { VoucherChecks } from '../voucher/verify.ts';

/** Sends deposits. One key is one transaction, however often it is asked for. */
export interface DepositChain {
  open(key: string, descriptor: ChannelDescriptor, amount: BaseUnits): Promise<SettlementOutcome>;
  topUp(key: string, descriptor: ChannelDescriptor, amount: BaseUnits): Promise<SettlementOutcome>;
}

export interface ProvidersDeps {
  readonly ledger: LedgerStore;
  readonly facts: Facts;
  readonly checks: VoucherChecks;
  readonly keccak: Keccak256;
  readonly cipher: Cipher;
  readonly chain: DepositChain;
  readonly payer: { readonly address: Hex; sign(digest: Uint8Array): Hex };
  readonly token: Hex;
  readonly withdrawDelay: number;
  /** Base units of one deposit. */
  readonly portion: BaseUnits;
  readonly limits: PrepaidLimits;
  readonly nowMs: () => number;
  readonly randomBytes32: () => Hex;
  readonly sleep: (ms: number) => Promise<void>;
  readonly logger: Logger;
  /** How long a call waits for a deposit to become final. */
  readonly waitMs: number;
}

export interface Providers {
  /** Channel, session and voucher that pay one provider; opens or tops up the channel on first need. */
  pay(request: OutgoingRequest): Promise<OutgoingValue | Refusal>;
  /** Tops up ahead of need. */
  billed(outgoingId: Hex): void;
  /** Goes on with deposits that a crash interrupted. */
  resume(): void;
}

const SESSION_SECONDS = 7n * 86_400n;
const RENEW_BEFORE_SECONDS = 3600n;
const LOOK_EVERY_MS = 100;
/** Longer than a long answer, whose bill may still come. */
const GIVE_UP_AFTER_MS = 180_000;

export const createProviders = (deps: ProvidersDeps): Providers => {
  const { ledger, checks, payer, limits, portion, nowMs, logger } = deps;
  const planning = new Map<Hex, Promise<OutgoingRow | Refusal>>();
  /** Since when a channel has neither signed nor been billed, for bills that never came. */
  const stuckSinceMs = new Map<Hex, number>();
  const working = new Map<string, Promise<void>>();
  /** Deposits go one after the other: each needs its own allowance. */
  let queue: Promise<void> = Promise.resolve();

  const newSession = (channelId: Hex): OutgoingSession => {
    const key = deps.randomBytes32();
    const keyHash = bytesToHex(deps.keccak(hexToBytes(key, 32)));
    const notAfter = unixSeconds(nowMs()) + SESSION_SECONDS;
    // Work is paid ahead by voucher: nothing is asked for on credit.
    const maxUnpaid = ZERO_BASE;
    const signature = payer.sign(checks.sessionDigest({ channelId, keyHash, maxUnpaid, notAfter }));
    return { sealedKey: deps.cipher.sealKey(channelId, key), keyHash, maxUnpaid, notAfter, signature };
  };

  const plan = async (payee: Hex, owner: Hex): Promise<OutgoingRow | Refusal> => {
    const descriptor: ChannelDescriptor = {
      payer: payer.address,
      payee,
      token: deps.token,
      signerKind: 0,
      signer: payer.address,
      withdrawDelay: deps.withdrawDelay,
      salt: deps.randomBytes32(),
    };
    const channelId = channelIdOf(deps.keccak, descriptor);
    const row: OutgoingRow = {
      channelId,
      payee,
      owner,
      descriptor,
      status: 'opening',
      deposit: ZERO_BASE,
      settled: ZERO_BASE,
      plannedDeposit: portion,
      topUps: 0,
      signedMax: ZERO_BASE,
      receipted: ZERO_MICRO,
      lastCumulative: ZERO_MICRO,
      session: newSession(channelId),
      createdAtMs: nowMs(),
      usedAtMs: nowMs(),
    };
    const result = await ledger.submit((view) => planOutgoing(view, { row, limits }));
    return result.ok ? result.value : result.refusal;
  };

  const usable = (payee: Hex): OutgoingRow | undefined => [...ledger.outgoing()].filter((o) => o.payee === payee && !isOver(o)).at(-1);

  const channelTo = (payee: Hex, owner: Hex): Promise<OutgoingRow | Refusal> | OutgoingRow => {
    const known = usable(payee);
    if (known) return known;
    const running = planning.get(payee) ?? plan(payee, owner).finally(() => planning.delete(payee));
    planning.set(payee, running);
    return running;
  };

  /** Sends what `row` still needs on chain: its opening, or its last top-up. */
  const deposit = async (channelId: Hex): Promise<void> => {
    const row = ledger.view.outgoing(channelId);
    if (!row) return;
    const { descriptor, topUps } = row;
    const key = topUps === 0 ? `open:${channelId}` : `top-up:${channelId}:${topUps}`;
    const outcome = await (topUps === 0 ? deps.chain.open(key, descriptor, portion) : deps.chain.topUp(key, descriptor, portion));
    const fields = {
      channelId,
      payee: row.payee,
      amount: portion,
      outcome: outcome.kind,
      hash: 'hash' in outcome ? outcome.hash : undefined,
    };
    if (outcome.kind !== 'reverted') {
      logger.info(fields, `a deposit to a provider is ${outcome.kind}`);
      return;
    }
    logger.error({ ...fields, reason: outcome.message }, 'a deposit to a provider was refused; give the payer key tokens and gas');
    // A key that failed on chain is used up; one that was refused in simulation may be tried again.
    if (outcome.hash === undefined) return;
    await ledger.submit((view) => (topUps === 0 ? abandonOutgoing(view, channelId) : cancelTopUp(view, { channelId, portion })));
  };

  const work = (row: OutgoingRow): void => {
    if (row.deposit >= row.plannedDeposit || isOver(row)) return;
    const name = `${row.channelId}:${row.topUps}`;
    if (working.has(name)) return;
    const run = queue
      .then(() => deposit(row.channelId))
      .catch((err: unknown) => logger.error({ err, channelId: row.channelId }, 'a deposit failed; it is tried again on the next need'))
      .finally(() => working.delete(name));
    working.set(name, run);
    queue = run;
  };

  const topUp = async (channelId: Hex): Promise<void> => {
    const result = await ledger.submit((view) => planTopUp(view, { channelId, portion }));
    if (result.ok) work(result.value);
  };

  const session = async (row: OutgoingRow): Promise<OutgoingSession> => {
    if (row.session.notAfter > unixSeconds(nowMs()) + RENEW_BEFORE_SECONDS) return row.session;
    const renewed = newSession(row.channelId);
    await ledger.submit((view) => renewSession(view, { channelId: row.channelId, session: renewed }));
    return renewed;
  };

  /** Gives a channel up that has been at its limit for long without a bill: lost bills must not end the business with a provider. */
  const isGivenUp = async (row: OutgoingRow): Promise<boolean> => {
    const { channelId, payee } = row;
    if (!isUsedUp(row, limits)) return false;
    const since = stuckSinceMs.get(channelId) ?? nowMs();
    stuckSinceMs.set(channelId, since);
    if (nowMs() - since < GIVE_UP_AFTER_MS) return false;
    stuckSinceMs.delete(channelId);
    await ledger.submit((view) => retireOutgoing(view, { channelId }));
    logger.warn(
      { channelId, payee, signed: row.signedMax, receipted: row.receipted },
      'bills were lost; the channel is given up for a new one',
    );
    return true;
  };

  const sign = async (row: OutgoingRow, amount: BaseUnits): Promise<OutgoingValue> => {
    const { channelId, descriptor } = row;
    const current = await session(row);
    return {
      channelId,
      descriptor: { ...descriptor, signerKind: 0 },
      session: {
        key: deps.cipher.openKey(channelId, current.sealedKey),
        keyHash: current.keyHash,
        maxUnpaid: current.maxUnpaid,
        notAfter: current.notAfter,
        signature: current.signature,
      },
      voucher: { maxClaimableAmount: amount, signature: payer.sign(checks.voucherDigest({ channelId, maxClaimableAmount: amount })) },
      receipted: countedByProvider(row),
    };
  };

  return {
    async pay({ payee, modelId, need }) {
      const owner = deps.facts.ownerOf(modelId);
      if (!owner) return refuse('no_provider', `the registry does not show the model ${modelId} (yet)`, { param: 'modelId' });
      const first = await channelTo(payee, owner);
      if ('reason' in first) return first;
      let { channelId } = first;
      const known = deps.facts.channel(channelId);
      // Nothing known is no news: the buckets may have been lost.
      if (known.status !== 'unknown') await ledger.submit((view) => observeOutgoing(view, { channelId: first.channelId, facts: known }));
      const untilMs = nowMs() + deps.waitMs;
      for (;;) {
        const row = ledger.view.outgoing(channelId);
        if (row?.status === 'open') {
          const command = { channelId, need, limits, nowMs: nowMs() };
          const result = await ledger.submit((view) => signOutgoing(view, command));
          if (!result.ok) return result.refusal;
          const { quote } = result.value;
          if (quote.kind === 'sign') {
            stuckSinceMs.delete(channelId);
            return sign(result.value.row, quote.amount);
          }
          if (quote.kind === 'prepaid-limit' && !(await isGivenUp(result.value.row)))
            return prepaidLimit(payee, quote.required, quote.limit);
          if (quote.kind === 'deposit-short') await topUp(channelId);
        } else if (row?.status === 'retiring') {
          const next = await channelTo(payee, owner);
          if ('reason' in next) return next;
          channelId = next.channelId;
          continue;
        } else if (row?.status === 'closed' || row?.status === 'closing') {
          return refuse('no_provider', `the channel ${channelId} to the provider ${payee} is ${row.status}`);
        }
        if (row) work(row);
        if (nowMs() >= untilMs)
          return refuse('no_provider', `the deposit in the channel ${channelId} to the provider ${payee} is not final yet`);
        await deps.sleep(LOOK_EVERY_MS);
      }
    },
    billed(outgoingId) {
      stuckSinceMs.delete(outgoingId);
      topUp(outgoingId).catch((err: unknown) => logger.error({ err, channelId: outgoingId }, 'a top-up could not be planned'));
    },
    resume() {
      for (const row of ledger.outgoing()) work(row);
    },
  };
};

const isOver = ({ status }: OutgoingRow): boolean => status === 'retiring' || status === 'closing' || status === 'closed';

const prepaidLimit = (payee: Hex, required: BaseUnits, limit: BaseUnits): Refusal =>
  refuse(
    'no_provider',
    `${required} base units would have to be signed to the provider ${payee}, and its receipts allow ${limit} (maxPrepaidBaseUnits)`,
  );
