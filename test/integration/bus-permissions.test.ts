import { createConnection } from 'node:net';

import { BusUnavailable } from '@cupel/bus/bus';
import type { Bus } from '@cupel/bus/bus';
import { connectBus } from '@cupel/bus/connection';
import { renderAccounts } from '@cupel/bus/nats-config';
import type { BusRole } from '@cupel/bus/permissions';
import { startNats } from '@cupel/local/processes/nats';
import type { Nats } from '@cupel/local/processes/nats';
import { engineList } from '@cupel/protocol/wire/bus';
import { headState } from '@cupel/protocol/wire/projections';
import { claimsPostSubject, paymentSubject, probeSubject, receiptsStream, receiptsSubject } from '@cupel/protocol/wire/subjects';
import { version1 } from '@cupel/protocol/wire/scalars';
import { memoryLogger } from '@cupel/testing/logger';
import { eventually } from '@cupel/testing/wait';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

const PASSWORD = 'a-password-of-20-ch.';
const note = z.object({ version: version1, text: z.string() });
const head = { version: 1 as const, number: 1, hash: `0x${'ab'.repeat(32)}` as const, timestamp: 1, seenAtMs: 1 };
const list = { version: 1 as const, engines: [] };
const stream = (scope: string) => ({ name: receiptsStream(scope), subjects: [receiptsSubject(scope)], maxAgeMs: 600_000, maxBytes: 1e6 });

const HONEST = 'edge.honest.edge';
const CHEAT = 'edge.cheat.edge';
const LATE = 'edge.late.edge';
const GONE = 'edge.gone.edge';
const GATEWAY = 'gateway.main';

const CLUSTER: readonly { user: string; role: BusRole; scope?: string }[] = [
  { user: 'operator', role: 'operator' },
  { user: 'watcher', role: 'watcher' },
  { user: 'honest-router', role: 'edge-router', scope: HONEST },
  { user: 'honest-payment', role: 'edge-payment', scope: HONEST },
  { user: 'honest-defender', role: 'defender', scope: HONEST },
  { user: 'cheat-router', role: 'edge-router', scope: CHEAT },
  { user: 'cheat-payment', role: 'edge-payment', scope: CHEAT },
  { user: 'late-payment', role: 'edge-payment', scope: LATE },
  { user: 'gone-payment', role: 'edge-payment', scope: GONE },
  { user: 'gone-defender', role: 'defender', scope: GONE },
];
const GATEWAY_USERS: readonly { user: string; role: BusRole; scope?: string }[] = [
  { user: 'gw-watcher', role: 'watcher' },
  { user: 'gw-router', role: 'gateway-router', scope: GATEWAY },
  { user: 'gw-payment', role: 'gateway-payment', scope: GATEWAY },
  { user: 'gw-verifier', role: 'verifier', scope: GATEWAY },
];

/** What a client of the bus never does: a request with a reply subject of its own choice, over the plain protocol. */
const rawPublish = async (url: string, user: string, subject: string, reply: string, message: object): Promise<void> => {
  const { hostname, port } = new URL(url);
  const socket = createConnection({ host: hostname, port: Number(port) });
  const text = JSON.stringify(message);
  socket.write(`CONNECT ${JSON.stringify({ user, pass: PASSWORD, verbose: false, pedantic: false, protocol: 1 })}\r\n`);
  socket.write(`PUB ${subject} ${reply} ${Buffer.byteLength(text)}\r\n${text}\r\nPING\r\n`);
  await new Promise<void>((resolve, reject) => {
    let seen = '';
    socket.on('error', reject).on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      if (seen.includes('-ERR')) reject(new Error(seen));
      if (seen.includes('PONG')) resolve();
    });
  }).finally(() => socket.destroy());
};

describe('bus permissions, on a real server', () => {
  let nats: Nats;
  const stack = new AsyncDisposableStack();
  const buses = new Map<string, Bus>();
  const as = (user: string): Bus => buses.get(user)!;

  beforeAll(async () => {
    const withPassword = (users: typeof CLUSTER) => users.map((u) => ({ ...u, password: PASSWORD }));
    const config = renderAccounts([
      { name: 'cluster', users: withPassword(CLUSTER) },
      { name: 'gateway', users: withPassword(GATEWAY_USERS) },
    ]);
    nats = stack.use(await startNats({ config }));
    for (const { user } of [...CLUSTER, ...GATEWAY_USERS]) {
      buses.set(user, stack.use(await connectBus({ url: nats.url, user, password: PASSWORD, name: user, logger: memoryLogger() })));
    }
  });
  afterAll(() => stack.disposeAsync());

  it('refuses a wrong password with a message that says what to check', async () => {
    const wrong = connectBus({ url: nats.url, user: 'operator', password: 'another-password-20.', name: 'x', logger: memoryLogger() });
    await expect(wrong).rejects.toThrow(/refuses the user "operator"; check user and password files/);
  });

  it('lets the watchers write their projections, and everybody of the account read and watch them', async () => {
    for (const [watcher, readers] of [
      ['watcher', CLUSTER],
      ['gw-watcher', GATEWAY_USERS],
    ] as const) {
      for (const bucket of ['registry', 'channels', 'stakes', 'claims', 'disputes', 'head'] as const) await as(watcher).ensureKv(bucket);
      const kv = as(watcher).kv('head', headState);
      await kv.put('latest', head);
      for (const { user } of readers) {
        const seen: (string | undefined)[] = [];
        await using watch = as(user)
          .kv('head', headState)
          .watch((_key, value) => void seen.push(value?.hash));
        await eventually(`${user} watches`, () => seen.length === 1);
        await watch.ready;
        expect(await as(user).kv('head', headState).get('latest')).toEqual(head);
        expect((await as(user).kv('head', headState).entries()).size).toBe(1);
      }
      await kv.delete('latest');
    }
  });

  it('lets nobody else write them', async () => {
    for (const user of ['operator', 'honest-router', 'honest-payment', 'honest-defender', 'gw-router', 'gw-payment', 'gw-verifier']) {
      await expect(as(user).kv('head', headState).put('latest', head)).rejects.toThrow(BusUnavailable);
    }
    expect(await as('watcher').kv('head', headState).entries()).toEqual(new Map());
  }, 60_000);

  it('tells an edge of its own engines only', async () => {
    await as('operator').ensureKv('engines');
    const kv = as('operator').kv('engines', engineList);
    await kv.put('honest.edge', list);
    await kv.put('cheat.edge', list);
    expect([...(await kv.entries()).keys()].toSorted()).toEqual(['cheat.edge', 'honest.edge']);
    const seen: string[] = [];
    await using _own = as('honest-router')
      .kv('engines', engineList)
      .watch((key) => void seen.push(key), { key: 'honest.edge' });
    await using _foreign = as('honest-router')
      .kv('engines', engineList)
      .watch((key) => void seen.push(`foreign ${key}`), { key: 'cheat.edge' });
    await using _all = as('honest-router')
      .kv('engines', engineList)
      .watch((key) => void seen.push(`all ${key}`));
    await eventually('own', () => seen.includes('honest.edge'));
    expect(await as('honest-router').kv('engines', engineList).get('honest.edge')).toEqual(list);
    await expect(as('honest-router').kv('engines', engineList).get('cheat.edge')).rejects.toThrow(BusUnavailable);
    await kv.put('cheat.edge', list);
    await expect(as('honest-router').kv('engines', engineList).entries()).rejects.toThrow(BusUnavailable);
    expect(seen).toEqual(['honest.edge']);
  }, 60_000);

  it('lets router and payment of one edge talk, and nobody listen or answer in their place', async () => {
    const subject = paymentSubject(HONEST, 'lease');
    await using _forger = await as('cheat-payment').serve(subject, note, () => ({ text: 'forged' }));
    await using _server = await as('honest-payment').serve(`cupel.v1.${HONEST}.payment.*`, note, (r) => ({ text: `for ${r.text}` }), {
      queue: 'q',
    });
    for (let i = 0; i < 5; i++) {
      expect(await as('honest-router').call(subject, { version: 1, text: 'me' }, z.object({ text: z.string() }))).toEqual({
        ok: true,
        value: { text: 'for me' },
      });
    }
    await expect(as('cheat-router').call(subject, { version: 1, text: 'me' }, z.object({}), { timeoutMs: 500 })).rejects.toThrow(
      BusUnavailable,
    );
  });

  it('lets the operator probe every edge and hear every claim, and an edge speak only for itself', async () => {
    const heard: string[] = [];
    await using _claims = await as('operator').serve('cupel.v1.edge.*.*.claims.post', note, (_r, subject) => {
      heard.push(subject);
      return { text: 'posted' };
    });
    await using _probe = await as('honest-router').serve(probeSubject(HONEST), note, () => ({ text: 'probed' }));
    const value = z.object({ text: z.string() });
    expect(await as('operator').call(probeSubject(HONEST), { version: 1, text: '' }, value)).toEqual({
      ok: true,
      value: { text: 'probed' },
    });
    expect(await as('honest-payment').call(claimsPostSubject(HONEST), { version: 1, text: '' }, value)).toEqual({
      ok: true,
      value: { text: 'posted' },
    });
    await expect(as('cheat-payment').call(claimsPostSubject(HONEST), { version: 1, text: '' }, value, { timeoutMs: 500 })).rejects.toThrow(
      BusUnavailable,
    );
    expect(heard).toEqual([claimsPostSubject(HONEST)]);
  });

  it('carries receipts from payment to verifier and defender, and into no other scope', async () => {
    for (const [payment, reader, scope] of [
      ['gw-payment', 'gw-verifier', GATEWAY],
      ['honest-payment', 'honest-defender', HONEST],
    ] as const) {
      if (payment === 'honest-payment') await as('operator').ensureStream(stream(scope));
      await as(payment).ensureStream(stream(scope));
      await as(payment).publish(receiptsSubject(scope), { version: 1, text: 'r1' }, { msgId: 'r1' });
      const seen: string[] = [];
      await using _consumer = await as(reader).consume({
        stream: stream(scope),
        durable: 'v',
        schema: note,
        handler: async (m) => void seen.push(m.text),
      });
      await eventually('the receipt', () => seen.length === 1);
    }
    await expect(as('cheat-payment').publish(receiptsSubject(HONEST), { version: 1, text: 'forged' })).rejects.toThrow(BusUnavailable);
    await expect(as('cheat-payment').ensureStream(stream(HONEST))).rejects.toThrow(BusUnavailable);
  }, 60_000);

  it('lets no edge make or change a stream, so that it cannot take what is said to others', async () => {
    const mine = { ...stream(CHEAT), subjects: [receiptsSubject(CHEAT), `cupel.v1.${HONEST}.>`] };
    const waits = as('cheat-payment').ensureStream(mine);
    waits.catch(() => undefined);
    await as('honest-router')
      .call(paymentSubject(HONEST, 'lease'), { version: 1 }, z.object({}), { timeoutMs: 300 })
      .catch(() => undefined);
    await as('operator').ensureStream(stream(CHEAT));
    // Made by the operator, on its terms: what the edge wanted besides is not in it.
    await expect(waits).rejects.toThrow(`does not take cupel.v1.${HONEST}.>`);
    await expect(as('cheat-payment').ensureStream(mine)).rejects.toThrow('does not take');
    await as('cheat-payment').ensureStream({ ...stream(CHEAT), maxBytes: 5e5 });
    expect(await as('cheat-payment').publish(receiptsSubject(CHEAT), { version: 1, text: 'mine' })).toMatchObject({ sequence: 1 });
  });

  it('an edge that comes before the operator waits for its stream, without crash or noise', async () => {
    const logger = memoryLogger();
    await using bus = await connectBus({ url: nats.url, user: 'late-payment', password: PASSWORD, name: 'late', logger });
    const publishing = (async () => {
      await expect(bus.publish(receiptsSubject(LATE), { version: 1, text: 'r' })).rejects.toThrow(BusUnavailable);
      await bus.ensureStream(stream(LATE));
      return bus.publish(receiptsSubject(LATE), { version: 1, text: 'r' });
    })();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await as('operator').ensureStream(stream(LATE));
    expect(await publishing).toMatchObject({ sequence: 1 });
    expect(logger.lines.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
    const stops = new AbortController();
    await using leaving = await connectBus({
      url: nats.url,
      user: 'gone-payment',
      password: PASSWORD,
      name: 'gone',
      logger,
      signal: stops.signal,
    });
    const waits = leaving.ensureStream(stream(GONE));
    setTimeout(() => stops.abort(), 500);
    await expect(waits).rejects.toThrow(/is not there yet/);
    // A reader waits for as long as it takes, and goes when it is told to.
    await using defender = await connectBus({ url: nats.url, user: 'gone-defender', password: PASSWORD, name: 'd', logger });
    const seen: string[] = [];
    const consumer = await defender.consume({
      stream: stream(GONE),
      durable: 'd',
      schema: note,
      handler: async (m) => void seen.push(m.text),
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    await as('operator').ensureStream(stream(GONE));
    await as('gone-payment').publish(receiptsSubject(GONE), { version: 1, text: 'r' });
    await eventually('the receipt', () => seen.length === 1);
    await consumer[Symbol.asyncDispose]();
    expect(logger.lines.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
  }, 30_000);

  it('answers no request whose reply would go elsewhere than to an inbox', async () => {
    const asked: string[] = [];
    await using _server = await as('honest-payment').serve(paymentSubject(HONEST, 'charge'), note, ({ text }) => {
      asked.push(text);
      return head;
    });
    const subject = paymentSubject(HONEST, 'charge');
    await rawPublish(nats.url, 'honest-router', subject, '$KV.head.latest', { version: 1, text: 'aimed' });
    await rawPublish(nats.url, 'honest-router', subject, paymentSubject(HONEST, 'payload'), { version: 1, text: 'at a call' });
    expect(await as('honest-router').call(subject, { version: 1, text: 'plain' }, z.object({}))).toMatchObject({ ok: true });
    expect(asked).toEqual(['plain']);
    expect(await as('watcher').kv('head', headState).get('latest')).toBeUndefined();
  });

  it('takes nothing for an entry that JetStream itself was made to answer onto a key', async () => {
    const kv = as('watcher').kv('head', headState);
    await kv.put('latest', head);
    const seen: (string | undefined)[] = [];
    await using watch = as('honest-payment')
      .kv('head', headState)
      .watch((key, value) => void seen.push(`${key} ${value?.number}`));
    await watch.ready;
    // A copy of the newest head as the final one; then an answer about the stream over the newest head.
    await rawPublish(nats.url, 'cheat-router', '$JS.API.DIRECT.GET.KV_head.$KV.head.latest', '$KV.head.finalized', {});
    await rawPublish(nats.url, 'cheat-router', '$JS.API.STREAM.INFO.KV_head', '$KV.head.latest', {});
    await eventually('the entry to be covered', async () => (await kv.get('latest')) === undefined);
    expect(await kv.get('finalized')).toBeUndefined();
    expect(await kv.entries()).toEqual(new Map());
    await kv.put('latest', { ...head, number: 2 });
    await eventually('the next head', () => seen.includes('latest 2'));
    expect(seen).toEqual(['latest 1', 'latest 2']);
    await kv.delete('latest');
  });

  it('keeps payloads and consents from the routers', async () => {
    await using _edge = await as('honest-payment').serve(paymentSubject(HONEST, 'payload'), note, () => ({ text: 'secret' }));
    await using _gateway = await as('gw-payment').serve(`cupel.v1.${GATEWAY}.payment.*`, note, () => ({ text: 'secret' }));
    const ask = (user: string, subject: string) =>
      as(user).call(subject, { version: 1, text: '' }, z.object({ text: z.string() }), { timeoutMs: 300 });
    await expect(ask('honest-router', paymentSubject(HONEST, 'payload'))).rejects.toThrow(BusUnavailable);
    await expect(ask('gw-router', paymentSubject(GATEWAY, 'payload'))).rejects.toThrow(BusUnavailable);
    await expect(ask('gw-router', paymentSubject(GATEWAY, 'consent'))).rejects.toThrow(BusUnavailable);
    for (const call of ['authenticate', 'lease', 'release', 'voucher', 'charge', 'receipt', 'outgoing'] as const)
      expect(await ask('gw-router', paymentSubject(GATEWAY, call))).toMatchObject({ ok: true });
    expect(await ask('honest-defender', paymentSubject(HONEST, 'payload'))).toMatchObject({ ok: true });
  });

  it('lets the verifier write reputation, ask for consent, and the gateway read it', async () => {
    const bucket = z.object({ version: version1, text: z.string() });
    await as('gw-verifier').ensureKv('reputation');
    await as('gw-verifier').kv('reputation', bucket).put('ab', { version: 1, text: 'good' });
    expect(await as('gw-router').kv('reputation', bucket).get('ab')).toEqual({ version: 1, text: 'good' });
    await using _server = await as('gw-payment').serve(`cupel.v1.${GATEWAY}.payment.*`, note, () => ({ text: 'signed' }));
    const value = z.object({ text: z.string() });
    expect(await as('gw-verifier').call(paymentSubject(GATEWAY, 'consent'), { version: 1, text: '' }, value)).toMatchObject({ ok: true });
    await expect(
      as('gw-verifier').call(paymentSubject(GATEWAY, 'charge'), { version: 1, text: '' }, value, { timeoutMs: 300 }),
    ).rejects.toThrow(BusUnavailable);
  });
});
