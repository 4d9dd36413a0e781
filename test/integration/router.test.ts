import { connect } from 'node:net';

import { connectBus } from '@cupel/bus/connection';
import { startNats } from '@cupel/local/processes/nats';
import { encodeVoucher } from '@cupel/router/admit/voucher-header';
import { memoryLogger } from '@cupel/testing/logger';
import { eventually } from '@cupel/testing/wait';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { startScriptEngine } from './router/script-engine.ts';
import type { ScriptEngine } from './router/script-engine.ts';
import { newKey, sha256 } from './router/test-payment.ts';
import { API_KEY, openWorld } from './router/world.ts';
import type { Provider, World } from './router/world.ts';

let nats: Awaited<ReturnType<typeof startNats>>;
let stack: AsyncDisposableStack;
let world: World;
let engine: ScriptEngine;
let honest: Provider;
let client: OpenAI;

beforeAll(async () => {
  nats = await startNats();
}, 120_000);
afterAll(() => nats?.stop());

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  await nats.restart({ wipe: true });
  const bus = stack.use(await connectBus({ url: nats.url, name: 'router test', logger: memoryLogger() }));
  engine = stack.use(await startScriptEngine());
  world = stack.use(await openWorld(bus));
  honest = await world.addProvider('honest', engine);
  client = new OpenAI({ baseURL: `${world.baseUrl}/v1`, apiKey: API_KEY, maxRetries: 0 });
});
afterEach(() => stack.disposeAsync());

const ask = { model: 'assistant', messages: [{ role: 'user' as const, content: 'Hello' }], max_tokens: 50 };

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(world.baseUrl + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

const errorOf = async (response: Response) =>
  ((await response.json()) as { error: { code: string; message: string; type: string; param: string | null } }).error;

/** prompt 7 tokens at 2, 5 answers at 4. */
const PRICE = 7n * 2n + 5n * 4n;

describe('the unmodified OpenAI client', () => {
  test('plain: answered, charged once on both sides, receipt readable', async () => {
    const { data, response } = await client.chat.completions.create(ask).withResponse();
    expect(data.choices[0]!.message.content).toBe('t0 t1 t2 t3 t4 ');
    const id = response.headers.get('x-cupel-receipt')!;
    expect(id).toMatch(/^0x[0-9a-f]{64}$/);
    expect(response.headers.get('x-cupel-provider')).toBe(honest.entries[0]!.modelId);
    expect(response.headers.get('x-request-id')).toMatch(/^req_/);
    expect(world.payment.charged).toBe(PRICE);
    expect(honest.payment.charged).toBe(PRICE);
    const receipt = await fetch(`${world.baseUrl}/v1/receipts/${id}`, { headers: { authorization: `Bearer ${API_KEY}` } });
    expect(receipt.status).toBe(200);
    expect(await receipt.json()).toMatchObject({ charged: true, receipt: { requestId: id, price: String(PRICE), outcome: '0' } });
    const sent = JSON.parse(engine.bodies[0]!) as Record<string, unknown>;
    expect(sent).toMatchObject({ ...ask, seed: expect.any(Number) });
    expect(world.payment.charges.get(id as `0x${string}`)!.envelope.params).toMatchObject({
      seed: sent['seed'],
      max_tokens: 50,
      stream: false,
    });
  });

  test('streaming: every token, no usage chunk unless asked for, charged the same', async () => {
    let text = '';
    let usageChunks = 0;
    for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? '';
      if (chunk.usage) usageChunks += 1;
    }
    expect(text).toBe('t0 t1 t2 t3 t4 ');
    expect(usageChunks).toBe(0);
    await eventually('charged', () => world.payment.charged === PRICE);
    const usages = [];
    for await (const chunk of await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } })) {
      if (chunk.usage) usages.push(chunk.usage);
    }
    expect(usages).toMatchObject([{ prompt_tokens: 7, completion_tokens: 5 }]);
    await eventually('charged', () => world.payment.charged === 2n * PRICE);
    expect(honest.payment.charged).toBe(2n * PRICE);
  });

  test('errors are typed: 404, 401', async () => {
    await expect(client.chat.completions.create({ ...ask, model: 'nobody' })).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
      param: 'model',
    });
    const stranger = new OpenAI({ baseURL: `${world.baseUrl}/v1`, apiKey: 'wrong', maxRetries: 0 });
    await expect(stranger.chat.completions.create(ask)).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' });
    expect(world.payment.charged).toBe(0n);
  });

  test('models are listed', async () => {
    const list = await client.models.list();
    expect(list.data.map((m) => m.id).toSorted()).toEqual(['assistant', 'digits']);
  });
});

describe('bad input', () => {
  test('malformed JSON, a wrong field, a key twice, 2 MB, a wrong method, an unknown path', async () => {
    const malformed = await post('/v1/chat/completions', '{"model": ');
    expect([malformed.status, (await errorOf(malformed)).code]).toEqual([400, 'malformed_json']);
    const field = await post('/v1/chat/completions', { ...ask, max_tokens: -1 });
    expect(await errorOf(field)).toMatchObject({ code: 'invalid_field', param: 'max_tokens' });
    const twice = await post('/v1/chat/completions', '{"model":"assistant","model":"x","messages":[{"role":"user"}]}');
    expect(await errorOf(twice)).toMatchObject({ code: 'invalid_field', param: 'model' });
    const large = await post('/v1/chat/completions', `{"pad":"${'x'.repeat(2_000_000)}"}`);
    expect([large.status, (await errorOf(large)).code]).toEqual([413, 'body_too_large']);
    const method = await fetch(`${world.baseUrl}/v1/chat/completions`);
    expect([method.status, (await errorOf(method)).code]).toEqual([405, 'method_not_allowed']);
    const path = await post('/v1/embeddings', {});
    expect([path.status, (await errorOf(path)).code]).toEqual([404, 'not_found']);
    const kind = await post('/v1/chat/completions', { ...ask, model: 'digits' });
    expect([kind.status, (await errorOf(kind)).code]).toEqual([400, 'wrong_protocol']);
  });
});

describe('payment', () => {
  test('402 names what is missing; a voucher in the header pays, must rise, and is checked', async () => {
    const signer = newKey();
    const channelId = world.payment.openChannel(signer.address, 0n);
    world.payment.consumers.set(sha256('poor-key'), { consumerId: 'poor', channelId });
    const poor = await post('/v1/chat/completions', ask, { authorization: 'Bearer poor-key' });
    expect(poor.status).toBe(402);
    const required = BigInt(poor.headers.get('x-cupel-required')!);
    expect(BigInt(poor.headers.get('x-cupel-missing')!)).toBe(required);
    const error = await errorOf(poor);
    expect(error).toMatchObject({ code: 'insufficient_voucher', type: 'insufficient_quota' });
    expect(error.message).toContain(`${required} base units`);

    const send = (amount: bigint, by = signer) =>
      post('/v1/chat/completions', ask, {
        'x-cupel-channel': channelId,
        'x-cupel-voucher': encodeVoucher(world.payment.signVoucher(by, channelId, amount)),
      });
    const paid = await send(required);
    expect(paid.status).toBe(200);
    await paid.text();
    const again = await send(required);
    expect([again.status, (await errorOf(again)).code]).toEqual([409, 'voucher_not_higher']);
    const forged = await send(required + 5n, newKey());
    expect([forged.status, (await errorOf(forged)).code]).toEqual([400, 'voucher_bad_signature']);
    expect(world.payment.charged).toBe(PRICE);
  });

  test('64 requests at once on one channel: all served, nothing lost or charged twice, few questions to the ledgers', async () => {
    honest.payment.headroom = 10_000n;
    const answers = await Promise.all(
      Array.from({ length: 64 }, () => post('/v1/chat/completions', ask).then(async (r) => [r.status, await r.text()] as const)),
    );
    expect(answers.map(([status]) => status)).toEqual(Array.from({ length: 64 }, () => 200));
    expect(world.payment.charged).toBe(64n * PRICE);
    expect(honest.payment.charged).toBe(64n * PRICE);
    expect(world.payment.calls.filter((c) => c === 'lease').length).toBeLessThan(20);
    expect(world.payment.calls.filter((c) => c === 'authenticate').length).toBeLessThanOrEqual(64);
  });

  test.each([
    ['a price above the registry', (p: Provider) => p.payment, { price: 1_000_000n, cumulative: 2_000_000n }],
    ['another output', (p: Provider) => p.payment, { outputHash: `0x${'99'.repeat(32)}` as const }],
    ['another version', (p: Provider) => p.payment, { versionId: `0x${'99'.repeat(32)}` as const }],
    ['a stale time', (p: Provider) => p.payment, { issuedAt: 1n }],
  ])('a receipt with %s: nothing is charged or delivered', async (_what, of, change) => {
    const payment = of(honest);
    payment.tamper = (envelope) => payment.resign(envelope, change);
    const answer = await post('/v1/chat/completions', ask);
    expect([answer.status, (await errorOf(answer)).code]).toEqual([502, 'receipt_unfit']);
    expect(world.payment.charged).toBe(0n);
    expect(await world.metrics.render()).toContain('cupel_router_unfit_receipts_total{role="gateway"} 1');
  });

  test('a receipt signed by a key without grant does not fit', async () => {
    honest.payment.tamper = (envelope) => ({ ...envelope, signature: newKey().sign(new Uint8Array(32).fill(1)) });
    const answer = await post('/v1/chat/completions', ask);
    expect([answer.status, (await errorOf(answer)).code]).toEqual([502, 'receipt_unfit']);
    expect(world.payment.charged).toBe(0n);
  });

  test('an edge that was restarted gets a new session, unseen by the client', async () => {
    await client.chat.completions.create(ask);
    honest.restartEdge();
    await client.chat.completions.create(ask);
    expect(world.payment.charged).toBe(2n * PRICE);
  });
});

describe('failures', () => {
  test('an engine that dies before the first byte: another provider answers, only he is paid', async () => {
    const dying = stack.use(await startScriptEngine());
    dying.script.dieBeforeContent = true;
    const cheap = await world.addProvider('cheap', dying, 1n);
    let text = '';
    const { data, response } = await client.chat.completions.create({ ...ask, stream: true }).withResponse();
    for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? '';
    expect(text).toBe('t0 t1 t2 t3 t4 ');
    expect(response.headers.get('x-cupel-provider')).toBe(honest.entries[0]!.modelId);
    expect(dying.bodies.length).toBeGreaterThan(0);
    await eventually('charged', () => world.payment.charged === PRICE);
    expect(cheap.payment.charged).toBe(0n);
    dying.script.dieBeforeContent = false;
    dying.script.dieBeforeHeaders = true;
    expect((await client.chat.completions.create(ask)).choices[0]!.message.content).toBe('t0 t1 t2 t3 t4 ');
    expect(cheap.payment.charged).toBe(0n);
  });

  test('an engine that dies in mid-stream: a terminal error event, no [DONE], and only what was delivered is charged', async () => {
    engine.script.dieAfter = 3;
    engine.script.paceMs = 5;
    const answer = await post('/v1/chat/completions', { ...ask, stream: true });
    const text = await answer.text();
    expect(answer.status).toBe(200);
    expect(text.match(/"content":"t\d/g)).toHaveLength(3);
    expect(text).not.toContain('[DONE]');
    const last = JSON.parse(text.trim().split('\n\n').at(-1)!.replace('data: ', '')) as { error: { code: string } };
    expect(last.error.code).toBe('stream_cut');
    const charge = [...world.payment.charges.values()][0]!;
    expect(charge.envelope.receipt).toMatchObject({ outcome: 2n, outputUnits: 3n });
    expect(world.payment.charged).toBe(charge.envelope.receipt.price);
    expect(honest.payment.charged).toBe(world.payment.charged);
    engine.script.dieAfter = 3;
    await expect(
      (async () => {
        for await (const _ of await client.chat.completions.create({ ...ask, stream: true })) void _;
      })(),
    ).rejects.toMatchObject({ code: 'stream_cut' });
  });

  test('an edge whose connection is cut in mid-stream: error event, charged by the receipt that it holds', async () => {
    engine.script.chunks = 200;
    engine.script.paceMs = 10;
    const answer = await post('/v1/chat/completions', { ...ask, max_tokens: 500, stream: true });
    const reader = answer.body!.getReader();
    await reader.read();
    honest.proxy.reset();
    let text = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += Buffer.from(value).toString();
    }
    expect(text).toContain('stream_cut');
    await eventually('charged', () => world.payment.charges.size === 1);
    const { receipt } = [...world.payment.charges.values()][0]!.envelope;
    expect(receipt.outcome).toBe(1n);
    expect(world.payment.charged).toBe(honest.payment.charged);
  });

  test('a client that leaves: the engine stops within a second, what was delivered is charged', async () => {
    engine.script.chunks = 10_000;
    engine.script.paceMs = 5;
    const stream = await client.chat.completions.create({ ...ask, max_tokens: 20_000, stream: true });
    let seen = 0;
    for await (const _ of stream) {
      seen += 1;
      if (seen === 5) break;
    }
    const leftAt = performance.now();
    await eventually('the engine has stopped', () => engine.closedAt !== undefined);
    expect(engine.closedAt! - leftAt).toBeLessThan(1000);
    await eventually('charged', () => world.payment.charges.size === 1);
    const { receipt } = [...world.payment.charges.values()][0]!.envelope;
    expect(receipt.outcome).toBe(1n);
    expect(Number(receipt.outputUnits)).toBeLessThan(500);
    expect(world.payment.charged).toBe(receipt.price);
    expect(honest.payment.charged).toBe(receipt.price);
    await eventually('no hold is left', () => world.gateway.inFlight === 0);
    expect(await world.metrics.render()).toMatch(/requests_total\{role="gateway",kind="chat",reason="client_left"\} 1/);
  });

  test('a client that leaves before the first token owes nothing', async () => {
    engine.script.delayMs = 2000;
    const left = new AbortController();
    const asking = client.chat.completions.create({ ...ask, stream: true }, { signal: left.signal }).catch(() => 'left');
    await eventually('the engine is asked', () => engine.bodies.length === 1);
    left.abort();
    expect(await asking).toBe('left');
    const at = performance.now();
    await eventually('the engine has been let go', () => engine.closedAt !== undefined);
    expect(engine.closedAt! - at).toBeLessThan(1000);
    await eventually('no request is left', () => world.gateway.inFlight === 0 && honest.edge.inFlight === 0);
    expect([world.payment.charged, honest.payment.charged]).toEqual([0n, 0n]);
  });

  test('a breaker opens on failures, and lets one trial through later', async () => {
    engine.script.dieBeforeHeaders = true;
    for (let i = 0; i < 4; i++) expect((await post('/v1/chat/completions', ask)).status).toBeGreaterThanOrEqual(502);
    const asked = engine.bodies.length;
    const refused = await post('/v1/chat/completions', ask);
    expect([refused.status, (await errorOf(refused)).code]).toEqual([503, 'no_provider']);
    expect(refused.headers.get('retry-after')).not.toBeNull();
    expect(engine.bodies.length).toBe(asked);
    expect(await world.metrics.render()).toMatch(/breaker_state\{endpoint="0x[0-9a-f]{64} http[^"]*"\} 2/);
    engine.script.dieBeforeHeaders = false;
    await eventually('it is closed again', async () => (await post('/v1/chat/completions', ask)).status === 200);
  });

  test('an engine that refuses the request: 400 with its words, no other provider is asked, no breaker', async () => {
    const other = stack.use(await startScriptEngine());
    await world.addProvider('other', other, 9n);
    engine.script.status = 400;
    const answer = await post('/v1/chat/completions', ask);
    expect([answer.status, (await errorOf(answer)).message]).toEqual([400, 'the engine says no']);
    expect(other.bodies).toEqual([]);
    expect(world.payment.charged).toBe(0n);
  });

  test('a provider with absurd prices makes nothing unaffordable, and is not asked', async () => {
    const dear = stack.use(await startScriptEngine());
    await world.addProvider('dear', dear, 10n ** 24n);
    await world.addProvider('overflow', dear, 1n << 123n);
    for (let i = 0; i < 5; i++) expect((await post('/v1/chat/completions', ask)).status).toBe(200);
    expect(dear.bodies).toEqual([]);
    await honest.publish({ status: 'suspended' });
    const answer = await post('/v1/chat/completions', ask);
    expect([answer.status, (await errorOf(answer)).code]).toEqual([402, 'insufficient_voucher']);
  });

  test('a provider without stake or bond, or one that takes them out, is neither asked nor listed', async () => {
    for (const change of [{ staked: 0n }, { bond: 0n }, { unbondEnd: 1_900_000_000 }]) {
      await honest.stake(change);
      const answer = await post('/v1/chat/completions', ask);
      expect([answer.status, (await errorOf(answer)).code]).toEqual([503, 'no_provider']);
      expect((await client.models.list()).data).toEqual([]);
    }
    expect(honest.seen).toEqual([]);
    expect(world.payment.calls).not.toContain('outgoing');
    await honest.stake();
    expect((await post('/v1/chat/completions', ask)).status).toBe(200);
  });

  test('a provider that demands a voucher beyond what it can have counted gets none, and another one answers', async () => {
    const greedy = await world.addProvider('greedy', stack.use(await startScriptEngine()), 1n);
    greedy.payment.demands = 500_000n;
    for (let i = 0; i < 5; i++) expect((await post('/v1/chat/completions', ask)).status).toBe(200);
    expect(greedy.seen.length).toBeGreaterThan(0);
    expect(world.payment.outgoing.get(greedy.payment.payee)!.signed).toBeLessThan(100n);
  });

  test('a draining engine gets nothing new: its provider says so and another one answers', async () => {
    const other = stack.use(await startScriptEngine());
    await world.addProvider('other', other, 9n);
    await honest.drain();
    expect((await client.chat.completions.create(ask)).choices[0]!.message.content).toBe('t0 t1 t2 t3 t4 ');
    expect([engine.bodies.length, other.bodies.length]).toEqual([0, 1]);
  });

  test('a client that leaves while it waits for a whole answer: the engine is let go, nothing is charged', async () => {
    engine.script.delayMs = 3000;
    const left = new AbortController();
    const asking = client.chat.completions.create(ask, { signal: left.signal }).catch(() => 'left');
    await eventually('the engine is asked', () => engine.bodies.length === 1);
    left.abort();
    expect(await asking).toBe('left');
    await eventually('the engine has been let go', () => engine.closedAt !== undefined, 1000);
    await eventually('no request is left', () => world.gateway.inFlight === 0 && honest.edge.inFlight === 0);
    expect([world.payment.charged, honest.payment.charged]).toEqual([0n, 0n]);
  });

  test('a retired or suspended provider gets nothing more', async () => {
    await honest.publish({ status: 'suspended' });
    const answer = await post('/v1/chat/completions', ask);
    expect([answer.status, (await errorOf(answer)).code]).toEqual([503, 'no_provider']);
    expect(engine.bodies).toEqual([]);
  });
});

describe('integer models', () => {
  const infer = (data: number[]) =>
    post('/v2/models/digits/infer', { inputs: [{ name: 'input', datatype: 'UINT8', shape: [1, data.length], data }] });

  test('served over the Open Inference Protocol, hashed as tensors, billed per request and byte', async () => {
    const answer = await infer([1, 2, 3, 4]);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ outputs: [{ datatype: 'UINT8', data: [4, 3, 2, 1] }] });
    const charge = [...world.payment.charges.values()][0]!;
    expect(charge.request.payload).toMatchObject({ input: '0x01020304', output: '0x04030201' });
    expect(charge.envelope.receipt).toMatchObject({ inputUnits: 4n, outputUnits: 4n, outcome: 0n });
    expect(world.payment.charged).toBe(4n * 2n + 4n * 4n + 20n * 1_000_000n);
    expect((await fetch(`${world.baseUrl}/v2/models/digits/ready`)).status).toBe(200);
    expect((await fetch(`${world.baseUrl}/v2/health/ready`)).status).toBe(200);
  });

  test('a wrong shape names the field', async () => {
    const answer = await post('/v2/models/digits/infer', { inputs: [{ name: 'input', datatype: 'UINT8', shape: [1, 3], data: [1] }] });
    expect([answer.status, (await errorOf(answer)).param]).toEqual([400, 'inputs.0.data']);
    const range = await infer([256]);
    expect(range.status).toBe(400);
  });
});

describe('the edge', () => {
  const edgePost = (path: string, headers: Record<string, string>, body = '{}') =>
    fetch(`http://127.0.0.1:${honest.http.port}${path}`, { method: 'POST', headers, body });
  const hash = `0x${'11'.repeat(32)}`;
  const headers = (change: Record<string, string> = {}) => ({
    'x-cupel-request-id': hash,
    'x-cupel-salt': hash,
    'x-cupel-version-id': honest.entries[0]!.versionId,
    'x-cupel-channel': hash,
    'x-cupel-timestamp': String(Math.floor(Date.now() / 1000)),
    'x-cupel-mac': '0'.repeat(64),
    ...change,
  });

  test('refuses what has no session, a wrong MAC, an old timestamp', async () => {
    const unknown = await edgePost('/v1/chat/completions', headers());
    expect([unknown.status, (await errorOf(unknown)).code]).toEqual([401, 'session_unknown']);
    const stale = await edgePost('/v1/chat/completions', headers({ 'x-cupel-timestamp': '1000' }));
    expect([stale.status, (await errorOf(stale)).code]).toEqual([401, 'request_stale']);
    await client.chat.completions.create(ask);
    const { channelId } = [...world.payment.outgoing.values()][0]!;
    const forged = await edgePost('/v1/chat/completions', headers({ 'x-cupel-channel': channelId }), JSON.stringify(ask));
    expect([forged.status, (await errorOf(forged)).code]).toEqual([401, 'session_bad_mac']);
    const none = await edgePost('/v1/chat/completions', {}, '{}');
    expect(await errorOf(none)).toMatchObject({ code: 'invalid_field', param: 'x-cupel-request-id' });
    expect(engine.bodies).toHaveLength(1);
  });

  test('a replayed request is refused: the engine runs once', async () => {
    await client.chat.completions.create(ask);
    const { headers: sent, body } = honest.seen[0]!;
    const cupel = Object.fromEntries(Object.entries(sent).filter(([name]) => name.startsWith('x-cupel-')));
    const again = await edgePost('/v1/chat/completions', cupel, body);
    expect([again.status, (await errorOf(again)).code]).toEqual([409, 'request_replayed']);
    expect(engine.bodies).toHaveLength(1);
  });
});

describe('HTTP', () => {
  const raw = (text: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(world.http.port, '127.0.0.1', () => socket.write(text));
      let got = '';
      socket.on('data', (chunk) => (got += chunk.toString()));
      socket.on('close', () => resolve(got));
      socket.on('error', () => resolve(got));
      setTimeout(() => socket.destroy(), 1500);
    });

  test.each([
    ['both lengths', 'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd'],
    ['a bare line feed', 'GET /v1/models HTTP/1.1\nHost: x\n\n'],
    ['a folded header', 'GET /v1/models HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n'],
    ['no host', 'GET /v1/models HTTP/1.1\r\n\r\n'],
  ])('smuggling: %s is refused', async (_name, text) => {
    expect(await raw(text)).toMatch(/^HTTP\/1\.1 400 /);
    expect(engine.bodies).toEqual([]);
  });

  test('no header of the client reaches the engine', async () => {
    await (await post('/v1/chat/completions', ask, { cookie: 'a=b', 'x-forwarded-for': '1.2.3.4', 'x-evil': '1' })).text();
    expect(
      Object.keys(honest.seen[0]!.headers).filter((name) => ['cookie', 'x-forwarded-for', 'x-evil', 'authorization'].includes(name)),
    ).toEqual([]);
  });
});
