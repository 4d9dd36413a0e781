import type { DatabaseSync } from 'node:sqlite';

import type { Hex } from '@cupel/protocol/hex';
import { encodeJson } from '@cupel/protocol/wire/scalars';

import type { Change, ChannelRow, LeaseRow, LedgerView, OutgoingRow } from '../ledger/rows.ts';
import { channelOf, chargeOf, creditOf, leaseOf, outgoingOf } from './ledger-rows.ts';

/** What decisions see, and where their rows go. */
export interface LedgerState {
  readonly view: LedgerView;
  readonly channels: ReadonlyMap<Hex, ChannelRow>;
  readonly byConsumer: ReadonlyMap<string, ReadonlySet<Hex>>;
  readonly outgoing: ReadonlyMap<Hex, OutgoingRow>;
  /** Inserts at once, or notes what `writeBack` will write. */
  put(change: Change): void;
  /** Writes every row that changed since, once; before the commit. */
  writeBack(): void;
}

/** Reads channels, open leases and own channels into memory; charges and credits stay on disk and are looked up there. */
export const openState = (db: DatabaseSync): LedgerState => {
  const channels = new Map<Hex, ChannelRow>(
    db
      .prepare('SELECT c.*, v.max_claimable, v.signature FROM channels c LEFT JOIN vouchers v USING (channel_id)')
      .all()
      .map((row) => [channelOf(row).channelId, channelOf(row)]),
  );
  const leases = new Map<string, LeaseRow>(
    db
      .prepare("SELECT * FROM leases WHERE state = 'open'")
      .all()
      .map((row) => [leaseOf(row).leaseId, leaseOf(row)]),
  );
  const outgoing = new Map<Hex, OutgoingRow>(
    db
      .prepare('SELECT * FROM outgoing JOIN sessions USING (channel_id)')
      .all()
      .map((row) => [outgoingOf(row).channelId, outgoingOf(row)]),
  );
  const byConsumer = new Map<string, Set<Hex>>();
  const index = (row: ChannelRow, before: ChannelRow | undefined): void => {
    if (before && before.consumerId === row.consumerId) return;
    if (before && before.consumerId !== null) byConsumer.get(before.consumerId)?.delete(row.channelId);
    if (row.consumerId !== null) byConsumer.set(row.consumerId, (byConsumer.get(row.consumerId) ?? new Set()).add(row.channelId));
  };
  for (const row of channels.values()) index(row, undefined);
  const dirty = { channels: new Set<Hex>(), vouchers: new Set<Hex>(), leases: new Map<string, LeaseRow>(), outgoing: new Set<Hex>() };
  const sql = statements(db);
  const view: LedgerView = {
    channel: (id) => channels.get(id),
    lease(id) {
      const known = leases.get(id) ?? dirty.leases.get(id);
      if (known) return known;
      const row = sql.lease.get(id);
      return row && leaseOf(row);
    },
    openLeases: () => [...leases.values()],
    charge(id) {
      const row = sql.charge.get(id);
      return row && chargeOf(row);
    },
    chargeOf(digest) {
      const row = sql.chargeOf.get(digest);
      return row && chargeOf(row);
    },
    credit(digest) {
      const row = sql.credit.get(digest);
      return row && creditOf(row);
    },
    outgoing: (id) => outgoing.get(id),
    allOutgoing: () => outgoing.values(),
  };
  const put = (change: Change): void => {
    switch (change.table) {
      case 'channels': {
        const { row } = change;
        const before = channels.get(row.channelId);
        if (row.voucher !== (before?.voucher ?? null) || row.ceiling !== before?.ceiling) dirty.vouchers.add(row.channelId);
        index(row, before);
        channels.set(row.channelId, row);
        dirty.channels.add(row.channelId);
        return;
      }
      case 'leases': {
        const { row } = change;
        if (row.state === 'open') leases.set(row.leaseId, row);
        else leases.delete(row.leaseId);
        dirty.leases.set(row.leaseId, row);
        return;
      }
      case 'outgoing':
        outgoing.set(change.row.channelId, change.row);
        dirty.outgoing.add(change.row.channelId);
        return;
      case 'charges': {
        const c = change.row;
        const direction = c.outgoingId === null ? 'issued' : 'received';
        sql.putCharge.run(
          c.requestId,
          direction,
          c.channelId,
          c.leaseId,
          c.consumerId,
          `${c.price}`,
          `${c.charged}`,
          `${c.cumulative}`,
          c.modelId,
          c.versionId,
          c.publicName,
          c.receiptDigest,
          encodeJson(c.envelope),
          c.fingerprint,
          c.outgoingId,
          c.heldAtMs,
        );
        return;
      }
      case 'credits': {
        const c = change.row;
        sql.putCredit.run(c.receiptDigest, c.requestId, c.channelId, `${c.amount}`, c.atMs);
        return;
      }
      case 'outbox':
        sql.putOutbox.run(change.row.requestId, change.row.heldAtMs);
        return;
      case 'payloads':
        sql.putPayload.run(change.row.requestId, change.row.sealed, change.row.expiresAtMs);
        return;
      case 'consumers': {
        const c = change.row;
        sql.putConsumer.run(c.consumerId, c.name, c.apiKeySha256, c.createdAtMs);
        return;
      }
    }
  };
  const writeBack = (): void => {
    for (const id of dirty.channels) {
      const c = channels.get(id)!;
      sql.putChannel.run(
        id,
        encodeJson(c.descriptor),
        c.consumerId,
        `${c.charged}`,
        `${c.credited}`,
        `${c.leased}`,
        c.staleBase === null ? null : `${c.staleBase}`,
        `${c.deposit}`,
        `${c.settled}`,
        c.closeAt,
        c.status,
        c.requests,
        c.registeredAtMs,
      );
    }
    for (const id of dirty.vouchers) {
      const { ceiling, voucher } = channels.get(id)!;
      if (voucher !== null) sql.putVoucher.run(id, `${ceiling}`, voucher);
    }
    for (const l of dirty.leases.values()) {
      sql.putLease.run(l.leaseId, l.channelId, l.routerId, `${l.amount}`, `${l.charged}`, l.expiresAtMs, l.state);
    }
    for (const id of dirty.outgoing) {
      const o = outgoing.get(id)!;
      sql.putOutgoing.run(
        id,
        o.payee,
        encodeJson(o.descriptor),
        o.status,
        `${o.deposit}`,
        `${o.plannedDeposit}`,
        o.topUps,
        `${o.signedMax}`,
        `${o.receipted}`,
        `${o.lastCumulative}`,
        o.createdAtMs,
        o.owner,
        `${o.settled}`,
        o.usedAtMs,
      );
      const s = o.session;
      sql.putSession.run(id, s.sealedKey, s.keyHash, `${s.maxUnpaid}`, `${s.notAfter}`, s.signature);
    }
    dirty.channels.clear();
    dirty.vouchers.clear();
    dirty.leases.clear();
    dirty.outgoing.clear();
  };
  return { view, put, writeBack, channels, byConsumer, outgoing };
};

const statements = (db: DatabaseSync) => {
  const insert = (table: string, columns: number, verb = 'INSERT') =>
    db.prepare(`${verb} INTO ${table} VALUES (${Array.from({ length: columns }, () => '?').join(', ')})`);
  return {
    lease: db.prepare('SELECT * FROM leases WHERE lease_id = ?'),
    charge: db.prepare('SELECT * FROM charges WHERE request_id = ?'),
    chargeOf: db.prepare('SELECT * FROM charges WHERE receipt_digest = ?'),
    credit: db.prepare('SELECT * FROM credits WHERE receipt_digest = ?'),
    putChannel: insert('channels', 13, 'REPLACE'),
    putVoucher: insert('vouchers', 3, 'REPLACE'),
    putLease: insert('leases', 7, 'REPLACE'),
    putCharge: db.prepare(`INSERT INTO charges VALUES (NULL, ${Array.from({ length: 16 }, () => '?').join(', ')}, NULL)`),
    putCredit: insert('credits', 5),
    putOutgoing: insert('outgoing', 14, 'REPLACE'),
    putSession: insert('sessions', 6, 'REPLACE'),
    putPayload: insert('payloads', 3, 'REPLACE'),
    putOutbox: db.prepare('INSERT INTO outbox VALUES (?, ?, NULL)'),
    putConsumer: insert('consumers', 4),
  };
};
