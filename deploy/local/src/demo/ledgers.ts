import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { copyFromNode } from '../rootless.ts';

/** Sums of one payment ledger, read from a copy of its SQLite files: not through the service that wrote them. */
export interface LedgerSums {
  /** Micro charged on incoming channels (a consumer's at a gateway, a gateway's at an edge), before credits. */
  readonly charged: bigint;
  /** Micro given back after upheld disputes. */
  readonly credited: bigint;
  /** Micro of receipts on outgoing channels; 0 at an edge. */
  readonly receipted: bigint;
  readonly requests: number;
  /** Receipts of a mode without an arbiter: reputation only. */
  readonly unarbitrated: number;
  /** Base units that redeeming every incoming channel must bring: each rounded up once. */
  readonly redeemable: bigint;
}

const copyOf = async (folder: string): Promise<{ copy: string; dispose: () => Promise<void> }> => {
  const copy = await mkdtemp(join(tmpdir(), 'cupel-ledger-'));
  const names = (await readdir(folder)).filter((name) => name.startsWith('ledger.sqlite'));
  await copyFromNode(
    names.map((name) => join(folder, name)),
    copy,
  );
  return { copy: join(copy, 'ledger.sqlite'), dispose: () => rm(copy, { recursive: true, force: true }) };
};

const MICRO = 1_000_000n;

export const readLedger = async (folder: string): Promise<LedgerSums> => {
  const { copy, dispose } = await copyOf(folder);
  try {
    const db = new DatabaseSync(copy);
    const channels = db.prepare('SELECT charged, credited FROM channels').all() as { charged: string; credited: string }[];
    const outgoing = db.prepare('SELECT receipted FROM outgoing').all() as { receipted: string }[];
    const { n } = db.prepare('SELECT count(*) AS n FROM charges').get() as { n: number };
    const { u } = db.prepare("SELECT count(*) AS u FROM charges WHERE claim = 'unarbitrated'").get() as { u: number };
    db.close();
    const net = channels.map((c) => BigInt(c.charged) - BigInt(c.credited));
    return {
      charged: channels.reduce((sum, c) => sum + BigInt(c.charged), 0n),
      credited: channels.reduce((sum, c) => sum + BigInt(c.credited), 0n),
      receipted: outgoing.reduce((sum, o) => sum + BigInt(o.receipted), 0n),
      requests: n,
      unarbitrated: u,
      redeemable: net.reduce((sum, micro) => sum + (micro + MICRO - 1n) / MICRO, 0n),
    };
  } finally {
    await dispose();
  }
};

/** When each receipt was issued, unix seconds, by its digest. */
export const readIssueTimes = async (folder: string): Promise<ReadonlyMap<string, number>> => {
  const { copy, dispose } = await copyOf(folder);
  try {
    const db = new DatabaseSync(copy);
    const rows = db.prepare('SELECT receipt_digest AS digest, envelope FROM charges').all() as { digest: string; envelope: string }[];
    db.close();
    return new Map(rows.map((r) => [r.digest, Number((JSON.parse(r.envelope) as { receipt: { issuedAt: string } }).receipt.issuedAt)]));
  } finally {
    await dispose();
  }
};
