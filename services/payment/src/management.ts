import type { Hex } from '@cupel/protocol/hex';
import { ceilToBase, micro } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import { channelDescriptor } from '@cupel/protocol/wire/receipt';
import { baseAmount, bytes32, signature } from '@cupel/protocol/wire/scalars';
import { z } from 'zod';

import type { IncomingCalls } from './calls/incoming.ts';
import type { LedgerStore } from './ledger/records.ts';
import type { ChannelRow, ConsumerRow } from './ledger/rows.ts';
import { decided } from './ledger/rows.ts';
import { netCharged, unreserved } from './quote/allowance.ts';
import { owedOnChain } from './settle/redeem.ts';
import type { Redeemer } from './loops/redeem.ts';

export const consumerBody = z.strictObject({ name: z.string().min(1).max(100) });
export const channelBody = z.strictObject({ descriptor: z.strictObject(channelDescriptor.shape) });
export const voucherBody = z.strictObject({ channelId: bytes32, maxClaimableAmount: baseAmount, signature });
export const receiptsQuery = z.strictObject({
  after: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});

export interface ManagementDeps {
  readonly ledger: LedgerStore;
  readonly common: IncomingCalls;
  readonly redeemer: Redeemer;
  readonly nowMs: () => number;
  readonly newId: () => string;
  /** A new API key and its sha256 (hex without 0x). */
  readonly newApiKey: () => { readonly apiKey: string; readonly sha256: string };
}

/** What people may ask of payment. `consumerId` null: the admin, who sees everything. */
export const createManagement = (deps: ManagementDeps) => {
  const { ledger, common } = deps;
  const mine = (consumerId: string | null, channel: ChannelRow): boolean => consumerId === null || channel.consumerId === consumerId;
  return {
    consumerOf: (apiKeySha256: string): ConsumerRow | undefined => ledger.records.consumerOf(apiKeySha256),

    async createConsumer({ name }: z.output<typeof consumerBody>) {
      const { apiKey, sha256 } = deps.newApiKey();
      const row: ConsumerRow = { consumerId: `consumer-${deps.newId()}`, name, apiKeySha256: sha256, createdAtMs: deps.nowMs() };
      await ledger.submit(() => decided(row, { table: 'consumers', row }));
      return { consumerId: row.consumerId, name, apiKey };
    },

    async register(consumerId: string | null, { descriptor }: z.output<typeof channelBody>) {
      const row = await common.register(descriptor, consumerId);
      if ('reason' in row) return row;
      if (row.voucher !== null && !mine(consumerId, row)) {
        return refuse('forbidden', `the channel ${row.channelId} belongs to another credential`, { param: 'descriptor' });
      }
      return channelJson(row);
    },

    async voucher(consumerId: string | null, body: z.output<typeof voucherBody>) {
      const owner = consumerId ?? ledger.view.channel(body.channelId)?.consumerId ?? null;
      const result = await common.voucher({ version: 1, ...body }, owner);
      if ('reason' in result) return result;
      return channelJson(ledger.view.channel(body.channelId)!);
    },

    channel(consumerId: string | null, id: string) {
      const channelId = bytes32.safeParse(id);
      const row = channelId.success ? ledger.view.channel(channelId.data) : undefined;
      if (!row || !mine(consumerId, row))
        return { ...refuse('not_found', `there is no channel ${id.slice(0, 80)}`), param: 'id' } satisfies Refusal;
      return { status: 200, body: channelJson(row) };
    },

    balance(consumerId: string | null) {
      const rows = [...(consumerId === null ? ledger.channels() : ledger.channelsOf(consumerId))];
      const sum = (of: (row: ChannelRow) => bigint): bigint => rows.reduce((total, row) => total + of(row), 0n);
      const availableMicro = sum(unreserved);
      return {
        channels: rows.length,
        deposit: sum((c) => c.deposit),
        ceiling: sum((c) => c.ceiling),
        chargedMicro: sum((c) => c.charged),
        creditedMicro: sum((c) => c.credited),
        leasedMicro: sum((c) => c.leased),
        availableMicro,
        available: availableMicro / 1_000_000n,
      };
    },

    receipts(consumerId: string | null, { after, limit }: z.output<typeof receiptsQuery>) {
      const found = ledger.records.charges(after, limit, consumerId ?? undefined);
      return {
        receipts: found.map(({ sequence, row }) => ({
          sequence,
          requestId: row.requestId,
          channelId: row.channelId,
          modelId: row.modelId,
          publicName: row.publicName,
          priceMicro: row.price,
          chargedMicro: row.charged,
          cumulativeMicro: row.cumulative,
          creditedMicro: ledger.view.credit(row.receiptDigest)?.amount ?? 0n,
          receiptDigest: row.receiptDigest,
          heldAtMs: row.heldAtMs,
          envelope: row.envelope,
        })),
        next: found.at(-1)?.sequence ?? after,
      };
    },

    /** Sums per channel; all of it is also in the SQLite file. */
    ledger() {
      const channels = [...ledger.channels()];
      const outgoing = [...ledger.outgoing()];
      return {
        channels: channels.map(channelJson),
        outgoing: outgoing.map((o) => ({
          channelId: o.channelId,
          descriptor: o.descriptor,
          owner: o.owner,
          status: o.status,
          deposit: o.deposit,
          settled: o.settled,
          plannedDeposit: o.plannedDeposit,
          signedMax: o.signedMax,
          receiptedMicro: o.receipted,
          receipted: ceilToBase(o.receipted),
          lastCumulativeMicro: o.lastCumulative,
        })),
        settlements: ledger.records.settlements().map(settlementJson),
        claims: [...ledger.records.claims('planned'), ...ledger.records.claims('posted')],
        credits: ledger.records.credits(),
        totals: {
          requests: channels.reduce((n, c) => n + c.requests, 0),
          chargedMicro: channels.reduce((n, c) => n + c.charged, 0n),
          creditedMicro: channels.reduce((n, c) => n + c.credited, 0n),
          settled: channels.reduce((n, c) => n + c.settled, 0n),
          receiptedMicro: outgoing.reduce((n, o) => n + o.receipted, 0n),
          unpublishedReceipts: ledger.records.unpublishedCount(),
        },
      };
    },

    async settle() {
      return { settlements: (await deps.redeemer.run(true)).map(settlementJson) };
    },
  };
};

export type Management = ReturnType<typeof createManagement>;

const settlementJson = (s: Awaited<ReturnType<Redeemer['run']>>[number]) => ({
  id: s.id,
  state: s.state,
  tx: s.hash,
  message: s.message,
  rows: s.batch.rows.map(({ channelId, amount }): { channelId: Hex; amount: bigint } => ({ channelId, amount })),
});

const channelJson = (c: ChannelRow) => ({
  channelId: c.channelId,
  descriptor: c.descriptor,
  consumerId: c.consumerId,
  status: c.status,
  /** The opening is final, and vouchers are taken. */
  final: c.status !== 'unknown' && c.deposit > 0n,
  deposit: c.deposit,
  ceiling: c.ceiling,
  chargedMicro: c.charged,
  creditedMicro: c.credited,
  leasedMicro: c.leased,
  availableMicro: unreserved(c),
  owed: ceilToBase(micro(netCharged(c))),
  redeemable: owedOnChain(c),
  settled: c.settled,
  closeAt: c.closeAt,
  requests: c.requests,
});
