import { BusFault, BusUnavailable } from '@cupel/bus/bus';
import type { Bus } from '@cupel/bus/bus';
import { micro } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import { leaseRequest, leaseValue } from '@cupel/protocol/wire/bus';
import { decimal, version1 } from '@cupel/protocol/wire/scalars';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import { eventually } from './wait.ts';

export interface BusUnderTest extends AsyncDisposable {
  readonly bus: Bus;
  /** Deletes everything that JetStream holds. */
  wipe(): Promise<void>;
}

const note = z.object({ version: version1, text: z.string(), amount: decimal });
const request = leaseRequest.parse({
  version: 1,
  routerId: 'r1',
  channelId: `0x${'ab'.repeat(32)}`,
  minimum: '5',
  wanted: '170000000000000000001',
});

let counter = 0;
/** Names that no other test uses, since the real server keeps what the tests before left. */
const fresh = (prefix: string): string => `${prefix}_${process.pid}_${++counter}`;

const streamOf = (name: string) => ({ name, subjects: [`cupel.v1.${name}.receipts`], maxAgeMs: 60_000, maxBytes: 1_000_000 });

/** What every bus promises. Run against memory in unit tests and against nats-server in integration tests. */
export const busContract = (name: string, make: () => Promise<BusUnderTest>): void => {
  describe(`bus contract: ${name}`, () => {
    let under: BusUnderTest;
    let bus: Bus;
    beforeAll(async () => {
      under = await make();
      bus = under.bus;
    });
    afterAll(async () => {
      await under[Symbol.asyncDispose]();
    });

    describe('call and serve', () => {
      it('carries amounts beyond 2^53 exactly, both ways', async () => {
        const subject = `cupel.v1.${fresh('t')}.lease`;
        await using _server = await bus.serve(subject, leaseRequest, (r) => ({
          leaseId: r.routerId,
          channelId: r.channelId,
          amount: micro(r.wanted + 1n),
          expiresAtMs: 7,
        }));
        const result = await bus.call(subject, request, leaseValue);
        expect(result).toEqual({
          ok: true,
          value: { leaseId: 'r1', channelId: request.channelId, amount: 170000000000000000002n, expiresAtMs: 7 },
        });
      });

      it('carries a refusal as a value, with its amounts', async () => {
        const subject = `cupel.v1.${fresh('t')}.lease`;
        const refusal = refuse('insufficient_voucher', 'the voucher does not cover this', { required: 10n, missing: 3n });
        await using _server = await bus.serve(subject, leaseRequest, () => refusal);
        expect(await bus.call(subject, request, leaseValue)).toEqual({ ok: false, refusal });
      });

      it('refuses a request that does not fit, naming the field', async () => {
        const subject = `cupel.v1.${fresh('t')}.lease`;
        await using _server = await bus.serve(subject, leaseRequest, () => {
          throw new Error('never asked');
        });
        const result = await bus.call(subject, { ...request, channelId: '0x12' }, leaseValue);
        expect(result).toMatchObject({ ok: false, refusal: { reason: 'invalid_field', param: 'channelId' } });
      });

      it('is unavailable when nobody serves, and when the answer is late', async () => {
        await expect(bus.call(`cupel.v1.${fresh('t')}.nobody`, request, leaseValue)).rejects.toThrow(BusUnavailable);
        const subject = `cupel.v1.${fresh('t')}.slow`;
        await using _server = await bus.serve(
          subject,
          leaseRequest,
          () => new Promise<never>((_resolve, reject) => setTimeout(reject, 400)),
        );
        await expect(bus.call(subject, request, leaseValue, { timeoutMs: 100 })).rejects.toThrow(/within 100 ms/);
      });

      it('turns a throw of the handler and an unfit reply into a fault, without the inner message', async () => {
        const subject = `cupel.v1.${fresh('t')}.bad`;
        await using _server = await bus.serve(subject, leaseRequest, (r) => {
          if (r.routerId === 'throw') throw new Error('inner-secret');
          return { leaseId: 5 };
        });
        const thrown = bus.call(subject, { ...request, routerId: 'throw' }, leaseValue);
        await expect(thrown).rejects.toThrow(BusFault);
        await expect(thrown).rejects.not.toThrow(/inner-secret/);
        await expect(bus.call(subject, request, leaseValue)).rejects.toThrow(BusFault);
      });

      it('gives a wildcard server the subject', async () => {
        const party = fresh('t');
        await using _server = await bus.serve(`cupel.v1.${party}.*.post`, leaseRequest, (_r, subject) => ({ subject }));
        const result = await bus.call(`cupel.v1.${party}.honest.post`, request, z.object({ subject: z.string() }));
        expect(result).toEqual({ ok: true, value: { subject: `cupel.v1.${party}.honest.post` } });
      });
    });

    describe('streams', () => {
      it('takes a message once per msgId and delivers it', async () => {
        const stream = streamOf(fresh('S'));
        const subject = stream.subjects[0]!;
        await expect(bus.publish(subject, { version: 1, text: 'early', amount: 1n })).rejects.toThrow(BusUnavailable);
        await bus.ensureStream(stream);
        await bus.ensureStream(stream);
        expect(await bus.publish(subject, { version: 1, text: 'a', amount: 1n }, { msgId: 'a' })).toMatchObject({ duplicate: false });
        expect(await bus.publish(subject, { version: 1, text: 'a', amount: 1n }, { msgId: 'a' })).toMatchObject({ duplicate: true });
        await bus.publish(subject, { version: 1, text: 'b', amount: 2n }, { msgId: 'b' });
        const seen: string[] = [];
        await using _consumer = await bus.consume({
          stream,
          durable: 'd',
          schema: note,
          handler: async (m) => void seen.push(`${m.text}${m.amount + 1n}`),
        });
        await eventually('both delivered', () => seen.length === 2);
        expect(seen).toEqual(['a2', 'b3']);
      });

      it('delivers again after a failure, gives poison up, and goes on', async () => {
        const stream = streamOf(fresh('S'));
        await bus.ensureStream(stream);
        for (const text of ['flaky', 'poison', 'fine']) await bus.publish(stream.subjects[0]!, { version: 1, text, amount: 0n });
        await bus.publish(stream.subjects[0]!, { version: 1, wrong: true });
        const deliveries: string[] = [];
        await using _consumer = await bus.consume({
          stream,
          durable: 'd',
          schema: note,
          maxDeliver: 3,
          backoffMs: [20],
          handler: async (m, { delivery }) => {
            deliveries.push(`${m.text}${delivery}`);
            if (m.text === 'poison' || (m.text === 'flaky' && delivery === 1)) throw new Error('not now');
          },
        });
        await bus.publish(stream.subjects[0]!, { version: 1, text: 'last', amount: 0n });
        await eventually('all delivered', () => deliveries.includes('last1') && deliveries.includes('poison3'));
        expect(deliveries.toSorted()).toEqual(['fine1', 'flaky1', 'flaky2', 'last1', 'poison1', 'poison2', 'poison3']);
      });

      it('goes on after everything was deleted', async () => {
        const stream = streamOf(fresh('S'));
        const seen: string[] = [];
        await using _consumer = await bus.consume({ stream, durable: 'd', schema: note, handler: async (m) => void seen.push(m.text) });
        await bus.ensureStream(stream);
        await bus.publish(stream.subjects[0]!, { version: 1, text: 'before', amount: 0n });
        await eventually('before', () => seen.includes('before'));
        await under.wipe();
        await eventually('published again', async () => {
          await bus.ensureStream(stream);
          await bus.publish(stream.subjects[0]!, { version: 1, text: 'after', amount: 0n }, { msgId: 'after' });
          return true;
        });
        expect(await eventually('after', () => seen.includes('after'), 20_000)).toBe(true);
      }, 60_000);
    });

    describe('key-value', () => {
      it('puts, gets, deletes and lists', async () => {
        const bucket = fresh('B');
        const kv = bus.kv(bucket, note);
        await expect(kv.put('a', { version: 1, text: 'x', amount: 1n })).rejects.toThrow(BusUnavailable);
        expect(await kv.entries()).toEqual(new Map());
        expect(await bus.ensureKv(bucket)).toBe(true);
        expect(await bus.ensureKv(bucket)).toBe(false);
        expect(await kv.get('a')).toBeUndefined();
        await kv.put('a', { version: 1, text: 'x', amount: 1n });
        await kv.put('ns.edge-1', { version: 1, text: 'y', amount: 2n ** 70n });
        expect(await kv.get('ns.edge-1')).toEqual({ version: 1, text: 'y', amount: 2n ** 70n });
        await kv.delete('a');
        expect(await kv.get('a')).toBeUndefined();
        expect([...(await kv.entries()).keys()]).toEqual(['ns.edge-1']);
      });

      it('refuses to write what a reader would drop', async () => {
        const bucket = fresh('B');
        await bus.ensureKv(bucket);
        await expect(bus.kv(bucket, note).put('a', { version: 1, text: 'x', amount: -1n })).rejects.toThrow(/amount/);
      });

      it('watches: first what is there, then every change, once', async () => {
        const bucket = fresh('B');
        await bus.ensureKv(bucket);
        const kv = bus.kv(bucket, note);
        await kv.put('a', { version: 1, text: 'one', amount: 0n });
        await kv.put('b', { version: 1, text: 'two', amount: 0n });
        const changes: string[] = [];
        await using watch = kv.watch((key, value) => void changes.push(`${key}=${value?.text ?? 'gone'}`));
        await watch.ready;
        expect(changes.toSorted()).toEqual(['a=one', 'b=two']);
        await kv.put('a', { version: 1, text: 'three', amount: 0n });
        await kv.delete('b');
        await eventually('changes', () => changes.length === 4);
        expect(changes.slice(2)).toEqual(['a=three', 'b=gone']);
      });

      it('watches one key only, and an empty bucket is ready', async () => {
        const bucket = fresh('B');
        await bus.ensureKv(bucket);
        const kv = bus.kv(bucket, note);
        const changes: string[] = [];
        await using watch = kv.watch((key) => void changes.push(key), { key: 'ns.mine' });
        await watch.ready;
        await kv.put('ns.other', { version: 1, text: 'x', amount: 0n });
        await kv.put('ns.mine', { version: 1, text: 'x', amount: 0n });
        await eventually('mine', () => changes.length > 0);
        expect(changes).toEqual(['ns.mine']);
      });

      it('reports an entry that does not fit as absent', async () => {
        const bucket = fresh('B');
        await bus.ensureKv(bucket);
        await bus.kv(bucket, z.object({ version: version1, other: z.string() })).put('a', { version: 1, other: 'shape' });
        expect(await bus.kv(bucket, note).get('a')).toBeUndefined();
        expect(await bus.kv(bucket, note).entries()).toEqual(new Map());
      });

      it('waits for a bucket, and survives that it is deleted and made anew', async () => {
        const bucket = fresh('B');
        const kv = bus.kv(bucket, note);
        const state = new Map<string, string>();
        await using watch = kv.watch((key, value) => void (value ? state.set(key, value.text) : state.delete(key)));
        await bus.ensureKv(bucket);
        await kv.put('a', { version: 1, text: 'one', amount: 0n });
        await kv.put('b', { version: 1, text: 'one', amount: 0n });
        await watch.ready;
        await eventually('both', () => state.size === 2);
        await under.wipe();
        await eventually('made anew', async () => {
          await bus.ensureKv(bucket);
          await kv.put('a', { version: 1, text: 'again', amount: 0n });
          return true;
        });
        expect(await eventually('seen again', () => state.get('a') === 'again' && !state.has('b'), 20_000)).toBe(true);
      }, 60_000);
    });
  });
};
