import type { DatabaseSync } from 'node:sqlite';

import { micro } from '@cupel/protocol/money';
import { encodeJson } from '@cupel/protocol/wire/scalars';

import type { LedgerRecords } from '../ledger/records.ts';
import type { ConsumerRow } from '../ledger/rows.ts';
import { blob, chargeOf, claimOf, creditOf, hex, integer, settlementOf, text } from './ledger-rows.ts';
import type { SqlRow } from './ledger-rows.ts';

/** Finished settlements older than this many are not read back. */
const SETTLEMENTS_KEPT = 200;

export const ledgerRecords = (db: DatabaseSync): LedgerRecords => {
  const sql = {
    consumerOf: db.prepare('SELECT * FROM consumers WHERE api_key_sha256 = ?'),
    consumers: db.prepare('SELECT * FROM consumers ORDER BY created_at'),
    charges: db.prepare('SELECT * FROM charges WHERE sequence > ? ORDER BY sequence LIMIT ?'),
    chargesOf: db.prepare('SELECT * FROM charges WHERE consumer_id = ? AND sequence > ? ORDER BY sequence LIMIT ?'),
    payload: db.prepare('SELECT sealed FROM payloads WHERE request_id = ? AND expires_at > ?'),
    sweepPayloads: db.prepare(
      'DELETE FROM payloads WHERE request_id IN (SELECT request_id FROM payloads WHERE expires_at <= ? LIMIT 1000)',
    ),
    unpublished: db.prepare(
      'SELECT c.* FROM outbox o JOIN charges c USING (request_id) WHERE o.published_at IS NULL ORDER BY o.held_at, c.sequence LIMIT ?',
    ),
    unpublishedCount: db.prepare('SELECT count(*) AS n FROM outbox WHERE published_at IS NULL'),
    markPublished: db.prepare('UPDATE outbox SET published_at = ? WHERE request_id = ?'),
    markUnpublished: db.prepare('UPDATE outbox SET published_at = NULL WHERE held_at >= ? AND published_at IS NOT NULL'),
    sweepOutbox: db.prepare('DELETE FROM outbox WHERE published_at IS NOT NULL AND held_at < ?'),
    sweepLeases: db.prepare("DELETE FROM leases WHERE state <> 'open' AND expires_at < ?"),
    settlements: db.prepare(
      `SELECT * FROM settlements WHERE state = 'planned' OR id IN
         (SELECT id FROM settlements WHERE state <> 'planned' ORDER BY planned_at DESC LIMIT ${SETTLEMENTS_KEPT}) ORDER BY planned_at`,
    ),
    putSettlement: db.prepare('REPLACE INTO settlements VALUES (?, ?, ?, ?, ?, ?, ?)'),
    unclaimed: db.prepare(
      "SELECT request_id, version_id, receipt_digest, price, held_at FROM charges WHERE claim IS NULL AND direction = 'issued' ORDER BY sequence LIMIT ?",
    ),
    claims: db.prepare('SELECT * FROM claims WHERE state = ? ORDER BY planned_at'),
    putClaim: db.prepare('REPLACE INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, ?)'),
    setClaim: db.prepare('UPDATE charges SET claim = ? WHERE request_id = ?'),
    credits: db.prepare('SELECT * FROM credits ORDER BY at'),
    mark: db.prepare('SELECT value FROM marks WHERE name = ?'),
    putMark: db.prepare('REPLACE INTO marks VALUES (?, ?)'),
  };
  const numbered = (row: SqlRow) => ({ sequence: integer(row, 'sequence'), row: chargeOf(row) });
  return {
    consumerOf(apiKeySha256) {
      const row = sql.consumerOf.get(apiKeySha256);
      return row && consumerOf(row);
    },
    consumers: () => sql.consumers.all().map(consumerOf),
    charges: (after, limit, consumerId) =>
      (consumerId === undefined ? sql.charges.all(after, limit) : sql.chargesOf.all(consumerId, after, limit)).map(numbered),
    payload(requestId, nowMs) {
      const row = sql.payload.get(requestId, nowMs);
      return row && blob(row, 'sealed');
    },
    sweepPayloads: (nowMs) => Number(sql.sweepPayloads.run(nowMs).changes),
    unpublished: (limit) => sql.unpublished.all(limit).map(chargeOf),
    unpublishedCount: () => integer(sql.unpublishedCount.get() ?? {}, 'n'),
    markPublished(requestIds, nowMs) {
      for (const id of requestIds) sql.markPublished.run(nowMs, id);
    },
    markUnpublished: (sinceMs) => Number(sql.markUnpublished.run(sinceMs).changes),
    sweepOutbox: (beforeMs) => Number(sql.sweepOutbox.run(beforeMs).changes),
    sweepLeases: (beforeMs) => Number(sql.sweepLeases.run(beforeMs).changes),
    settlements: () => sql.settlements.all().map(settlementOf),
    putSettlement(s) {
      sql.putSettlement.run(s.id, encodeJson(s.batch), s.state, s.hash, s.message, s.plannedAtMs, s.endedAtMs);
    },
    unclaimed: (limit) =>
      sql.unclaimed.all(limit).map((row) => ({
        requestId: hex(row, 'request_id'),
        versionId: hex(row, 'version_id'),
        receiptDigest: hex(row, 'receipt_digest'),
        price: micro(BigInt(text(row, 'price'))),
        heldAtMs: integer(row, 'held_at'),
      })),
    claims: (state) => sql.claims.all(state).map(claimOf),
    putClaim(c, receipts) {
      sql.putClaim.run(c.claimId, c.versionId, c.root, c.count, `${c.maxPrice}`, c.state, c.tx, c.plannedAtMs);
      for (const { requestId } of receipts) sql.setClaim.run(c.claimId, requestId);
    },
    markUnarbitrated(receipts) {
      for (const { requestId } of receipts) sql.setClaim.run('unarbitrated', requestId);
    },
    credits: () => sql.credits.all().map(creditOf),
    mark(name) {
      const row = sql.mark.get(name);
      return row ? integer(row, 'value') : 0;
    },
    putMark(name, value) {
      sql.putMark.run(name, value);
    },
  };
};

const consumerOf = (row: SqlRow): ConsumerRow => ({
  consumerId: text(row, 'consumer_id'),
  name: text(row, 'name'),
  apiKeySha256: text(row, 'api_key_sha256'),
  createdAtMs: integer(row, 'created_at'),
});
