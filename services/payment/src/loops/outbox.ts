import type { ChannelDescriptor } from '@cupel/protocol/ids';
import type { Logger } from '@cupel/protocol/log';
import type { ReceiptEvent } from '@cupel/protocol/wire/bus';

import type { LedgerStore } from '../ledger/records.ts';
import type { ChargeRow } from '../ledger/rows.ts';

/** Where receipts go; at least once. */
export interface ReceiptStream {
  /** Creates the stream unless it is there. */
  ensure(): Promise<void>;
  /** Throws when nobody took it. `duplicate`: the stream had it already, under the number given. */
  publish(event: ReceiptEvent): Promise<Published>;
}

export interface Published {
  readonly sequence: number;
  readonly duplicate: boolean;
}

export interface OutboxDeps {
  readonly ledger: LedgerStore;
  readonly stream: ReceiptStream;
  readonly nowMs: () => number;
  /** How long receipts are of use to the readers of the stream. */
  readonly keepMs: number;
  readonly logger: Logger;
}

/** Messages on their way at a time. */
const BATCH = 64;
const LAST_SEQUENCE = 'receipts_last_sequence';

/**
 * Tells the stream of every charge that it has not been told of. The ledger is the truth: when the stream was lost (it cannot be published
 * to, or its numbers start again), all receipts of the last `keepMs` are told again.
 */
export const drainOutbox = async (deps: OutboxDeps): Promise<number> => {
  const { ledger, stream, nowMs } = deps;
  let told = 0;
  for (;;) {
    const batch = ledger.records.unpublished(BATCH);
    if (batch.length === 0) return told;
    const published = await publishAll(deps, batch);
    const highest = Math.max(...published.map((p) => p.sequence));
    const last = ledger.records.mark(LAST_SEQUENCE);
    const lost = published.some((p) => !p.duplicate && p.sequence <= last);
    await ledger.write(() => {
      if (lost) ledger.records.markUnpublished(nowMs() - deps.keepMs);
      ledger.records.markPublished(
        batch.map((row) => row.requestId),
        nowMs(),
      );
      ledger.records.putMark(LAST_SEQUENCE, highest);
    });
    if (lost)
      deps.logger.warn({ sequence: highest }, 'the receipts stream has been made anew; all receipts still of use are published again');
    told += batch.length;
  }

  async function publishAll(d: OutboxDeps, batch: readonly ChargeRow[]): Promise<Published[]> {
    const events = batch.map((row) => eventOf(d.ledger, row));
    try {
      return await Promise.all(events.map((event) => stream.publish(event)));
    } catch (err) {
      d.logger.warn({ err }, 'the receipts stream does not take messages; it is made anew when it is gone');
      await stream.ensure();
      return Promise.all(events.map((event) => stream.publish(event)));
    }
  }
};

const eventOf = (ledger: LedgerStore, row: ChargeRow): ReceiptEvent => {
  const { envelope, receiptDigest, modelId, publicName, heldAtMs } = row;
  return {
    version: 1,
    envelope,
    receiptDigest,
    modelId,
    publicName,
    descriptor: { ...descriptorOf(ledger, row), signerKind: 0 },
    heldAtMs,
  };
};

/** Of the channel that the receipt names. */
const descriptorOf = (ledger: LedgerStore, row: ChargeRow): ChannelDescriptor => {
  const channel = row.outgoingId === null ? ledger.view.channel(row.channelId) : ledger.view.outgoing(row.outgoingId);
  if (!channel) throw new Error(`the charge ${row.requestId} names a channel that the ledger does not have`);
  return channel.descriptor;
};
