import type { Hex } from '@cupel/protocol/hex';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import type { Logger } from '@cupel/protocol/log';

import type { Facts } from '../facts.ts';
import { retireOutgoing } from '../ledger/outgoing.ts';
import type { LedgerStore } from '../ledger/records.ts';
import type { SettlementOutcome } from '../settle/redeem.ts';

/** Takes deposits back. One key is one transaction, however often it is asked for. */
export interface ExitChain {
  startExit(key: string, descriptor: ChannelDescriptor): Promise<SettlementOutcome>;
  withdraw(key: string, descriptor: ChannelDescriptor): Promise<SettlementOutcome>;
}

export interface ExitsDeps {
  readonly ledger: LedgerStore;
  readonly facts: Pick<Facts, 'channel' | 'chainSeconds'>;
  readonly chain: ExitChain;
  /** A channel that was neither signed nor billed for so long is given up. */
  readonly idleMs: number;
  readonly nowMs: () => number;
  readonly logger: Logger;
}

/** How long a transaction rests that the chain refused. */
const REST_MS = 600_000;

/** Own channels on their way out: given up, exit started, and after the withdraw delay the rest of the deposit taken back. */
export const createExits = ({ ledger, facts, chain, idleMs, nowMs, logger }: ExitsDeps) => {
  const attempts = new Map<string, { readonly number: number; readonly restUntilMs: number }>();
  const told = new Map<string, string>();

  const send = async (step: 'startExit' | 'withdraw', channelId: Hex, descriptor: ChannelDescriptor): Promise<void> => {
    const name = `${step}:${channelId}`;
    const attempt = attempts.get(name) ?? { number: 0, restUntilMs: 0 };
    if (nowMs() < attempt.restUntilMs) return;
    // A key that failed on chain is used up.
    const outcome = await chain[step](attempt.number === 0 ? name : `${name}:${attempt.number}`, descriptor);
    const fields = { channelId, payee: descriptor.payee, hash: 'hash' in outcome ? outcome.hash : undefined };
    if (outcome.kind === 'reverted') {
      attempts.set(name, { number: attempt.number + 1, restUntilMs: nowMs() + REST_MS });
      logger.error({ ...fields, reason: outcome.message }, `${step} of an own channel was refused; it is sent again in a while`);
    } else if (told.get(name) !== outcome.kind) {
      told.set(name, outcome.kind);
      logger.info(fields, `${step} of an own channel is ${outcome.kind}`);
    }
  };

  return {
    async run(): Promise<void> {
      for (const { channelId, descriptor, status, usedAtMs } of ledger.outgoing()) {
        const unusedSinceMs = nowMs() - idleMs;
        if (status === 'open' && usedAtMs <= unusedSinceMs) {
          await ledger.submit((view) => retireOutgoing(view, { channelId, unusedSinceMs }));
          logger.info({ channelId, payee: descriptor.payee }, 'a channel to a provider is idle, and is given up');
        }
        if (ledger.view.outgoing(channelId)?.status === 'retiring') await send('startExit', channelId, descriptor);
        const seen = facts.channel(channelId);
        const time = facts.chainSeconds();
        if (seen.status === 'closing' && time !== undefined && time >= seen.closeAt) await send('withdraw', channelId, descriptor);
      }
    },
  };
};
