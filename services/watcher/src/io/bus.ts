import type { Bus, Kv } from '@cupel/bus/bus';
import { channelState, claimState, disputeState, headState, registryEntry, stakeState } from '@cupel/protocol/wire/projections';
import type { HeadState } from '@cupel/protocol/wire/projections';
import type { Clock } from '@cupel/protocol/time';
import { encodeJson } from '@cupel/protocol/wire/scalars';

import { PROJECTED, allEntries, entriesOf } from '../project/publish.ts';
import type { Entry, Projected, Published } from '../project/publish.ts';
import type { Rows } from '../project/rows.ts';
import type { Cursor, Projections } from '../tail/follow.ts';

export interface BusProjectionsOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly onWrite: (bucket: string) => void;
}

/** How often it is asked whether the buckets still exist. */
const LOOK_EVERY_MS = 2000;
/** How often everything is compared all the same: other users of the account may have laid something over an entry. */
const COMPARE_EVERY_MS = 60_000;

/**
 * The projections in the party's key-value buckets. A key is written only when its value is another. After a start, after a failed write and
 * when a bucket was made anew everything is compared, and keys that must not exist are deleted.
 */
export const busProjections = ({ bus, clock, onWrite }: BusProjectionsOptions): Projections => {
  const buckets: { [B in Projected]: Kv<Published[B]> } = {
    registry: bus.kv('registry', registryEntry),
    channels: bus.kv('channels', channelState),
    stakes: bus.kv('stakes', stakeState),
    claims: bus.kv('claims', claimState),
    disputes: bus.kv('disputes', disputeState),
  };
  const heads = bus.kv('head', headState);
  /** What stands in the buckets, as JSON; empty while `whole` is false. */
  const written = new Map<string, string>();
  let whole = false;
  let lookedAt = 0;
  let comparedAt = 0;

  const put = async <B extends Projected>(bucket: B, key: string, value: Published[Projected] | undefined): Promise<void> => {
    const kv = buckets[bucket];
    if (value === undefined) await kv.delete(key);
    else await kv.put(key, value as Published[B]);
    onWrite(bucket);
  };

  const bring = async ({ bucket, key, value }: Entry): Promise<void> => {
    const id = `${bucket}/${key}`;
    const text = value === undefined ? undefined : encodeJson(value);
    if (written.get(id) === text) return;
    await put(bucket, key, value);
    if (text === undefined) written.delete(id);
    else written.set(id, text);
  };

  /** True: one of the buckets was missing and is now there, empty. */
  const ensure = async (): Promise<boolean> => {
    const made = await Promise.all([...PROJECTED, 'head'].map((bucket) => bus.ensureKv(bucket)));
    lookedAt = clock.nowMs();
    return made.includes(true);
  };

  const compareAll = async (rows: Rows): Promise<void> => {
    written.clear();
    for (const bucket of PROJECTED)
      for (const [key, value] of await buckets[bucket].entries()) written.set(`${bucket}/${key}`, encodeJson(value));
    const wanted = allEntries(rows);
    const keys = new Set(wanted.map(({ bucket, key }) => `${bucket}/${key}`));
    const surplus = [...written.keys()]
      .filter((id) => !keys.has(id))
      .map((id): Entry => {
        const bucket = PROJECTED.find((b) => id.startsWith(`${b}/`))!;
        return { bucket, key: id.slice(bucket.length + 1), value: undefined };
      });
    for (const entry of [...wanted, ...surplus]) await bring(entry);
    comparedAt = clock.nowMs();
  };

  return {
    async write(rows, changes) {
      try {
        if (!whole || clock.nowMs() - lookedAt >= LOOK_EVERY_MS) whole = !(await ensure()) && whole;
        if (clock.nowMs() - comparedAt >= COMPARE_EVERY_MS) whole = false;
        if (whole) for (const entry of entriesOf(rows, changes)) await bring(entry);
        else await compareAll(rows);
        whole = true;
      } catch (error) {
        whole = false;
        throw error;
      }
    },
    async writeHeads({ latest, safe, finalized }) {
      const seenAtMs = clock.nowMs();
      const state = ({ number, hash, timestamp }: Cursor): HeadState => ({ version: 1, number, hash, timestamp, seenAtMs });
      await heads.put('latest', state(latest));
      if (safe) await heads.put('safe', state(safe));
      if (finalized) await heads.put('finalized', state(finalized));
    },
  };
};
