import { request } from 'node:http';

import { kvKey } from '@cupel/protocol/wire/subjects';
import { memoryLogger } from '@cupel/testing/logger';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { listen, managementApi } from '../src/io/http.ts';
import { channelState, consumer, descriptorOf, gatewayPayout, head, hex20, hex32, idOf, voucherOf } from './arrange.ts';
import { openParty } from './party.ts';
import type { Party } from './party.ts';

const ADMIN = 'admin-token-of-the-test';
const descriptor = descriptorOf(consumer, gatewayPayout);
const channelId = idOf(descriptor);

let party: Party;
let server: Awaited<ReturnType<typeof listen>>;
const logger = memoryLogger();

const start = async (role: 'gateway' | 'edge') => {
  party = openParty(role);
  const app = managementApi({ management: party.management, adminToken: ADMIN, role, newId: () => 'request-1', logger });
  server = await listen(app, 0);
};
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  party[Symbol.dispose]();
});

const ask = async (method: string, path: string, options: { token?: string; body?: unknown; raw?: string } = {}) => {
  const response = await fetch(`http://127.0.0.1:${server.port}/manage/v1${path}`, {
    method,
    headers: { ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }), 'content-type': 'application/json' },
    ...(options.raw !== undefined ? { body: options.raw } : options.body !== undefined ? { body: JSON.stringify(options.body) } : {}),
  });
  const body = (await response.json()) as { error?: { message: string; type: string; param: string | null; code: string } } & Record<
    string,
    unknown
  >;
  return { status: response.status, headers: response.headers, body };
};

const voucher = (amount: bigint) => {
  const { signature, maxClaimableAmount } = voucherOf(consumer, descriptor, amount);
  return { channelId, maxClaimableAmount: maxClaimableAmount.toString(), signature };
};

describe('at a gateway', () => {
  beforeEach(() => start('gateway'));

  const newConsumer = async () => {
    const { status, body } = await ask('POST', '/consumers', { token: ADMIN, body: { name: 'demo' } });
    expect(status).toBe(201);
    return String(body['apiKey']);
  };

  test('a consumer registers a channel, raises a voucher and reads its balance', async () => {
    const token = await newConsumer();
    const registered = await ask('POST', '/channels', { token, body: { descriptor } });
    expect(registered).toMatchObject({ status: 200, body: { channelId, status: 'unknown', final: false, ceiling: '0' } });
    const early = await ask('POST', '/vouchers', { token, body: voucher(10n) });
    expect(early).toMatchObject({ status: 402, body: { error: { code: 'channel_not_final', type: 'insufficient_quota' } } });
    party.facts.headChanged('safe', head(5, 0));
    party.facts.channelChanged(kvKey(channelId), channelState(descriptor));
    expect(await ask('POST', '/vouchers', { token, body: voucher(10n) })).toMatchObject({
      status: 200,
      body: { ceiling: '10', final: true },
    });
    expect(await ask('POST', '/vouchers', { token, body: voucher(10n) })).toMatchObject({
      status: 409,
      body: { error: { code: 'voucher_not_higher' } },
    });
    const beyond = await ask('POST', '/vouchers', { token, body: voucher(1_001n) });
    expect(beyond).toMatchObject({ status: 400, body: { error: { code: 'voucher_beyond_deposit', param: 'maxClaimableAmount' } } });
    expect(beyond.headers.get('x-cupel-missing')).toBe('1');
    expect(await ask('GET', '/balance', { token })).toMatchObject({
      status: 200,
      body: { deposit: '1000', ceiling: '10', availableMicro: '10000000' },
    });
    expect(await ask('GET', `/channels/${channelId}`, { token })).toMatchObject({ status: 200, body: { consumerId: 'consumer-id-1' } });
    expect(await ask('GET', '/receipts?after=0', { token })).toMatchObject({ status: 200, body: { receipts: [], next: 0 } });
  });

  test('credentials: none, a wrong one, a consumer’s where the admin’s is needed', async () => {
    const token = await newConsumer();
    expect(await ask('GET', '/ledger')).toMatchObject({ status: 401, body: { error: { code: 'missing_credentials' } } });
    const wrong = await ask('GET', '/ledger', { token: `${ADMIN}x` });
    expect(wrong).toMatchObject({ status: 401, body: { error: { code: 'invalid_api_key', type: 'invalid_request_error', param: null } } });
    expect(wrong.headers.get('www-authenticate')).toBe('Bearer');
    expect(wrong.headers.get('x-request-id')).toBe('request-1');
    expect(JSON.stringify(wrong.body)).not.toContain(ADMIN);
    expect(await ask('GET', '/ledger', { token })).toMatchObject({ status: 403, body: { error: { code: 'forbidden' } } });
    expect(await ask('POST', '/settle', { token, body: {} })).toMatchObject({ status: 403 });
    expect(await ask('POST', '/consumers', { token, body: { name: 'x' } })).toMatchObject({ status: 403 });
    expect(await ask('POST', '/consumers', { token: 'x'.repeat(600), raw: '{' })).toMatchObject({ status: 401 });
  });

  test('bodies: malformed, too large, unknown or wrong fields, each named', async () => {
    const token = ADMIN;
    for (const raw of ['{', '"text"', '', 'null', '[1', '\u0000']) {
      expect({ raw, status: (await ask('POST', '/consumers', { token, raw })).status }).toEqual({ raw, status: 400 });
    }
    expect(await ask('POST', '/consumers', { token, raw: '{' })).toMatchObject({ body: { error: { code: 'malformed_json' } } });
    expect(await ask('POST', '/consumers', { token, raw: `{"name":"${'x'.repeat(70_000)}"}` })).toMatchObject({
      status: 413,
      body: { error: { code: 'body_too_large' } },
    });
    expect(await ask('POST', '/consumers', { token, body: { name: 'a', admin: true } })).toMatchObject({
      status: 400,
      body: { error: { code: 'invalid_field', message: expect.stringContaining('admin') } },
    });
    expect(await ask('POST', '/consumers', { token, body: { name: 7 } })).toMatchObject({
      status: 400,
      body: { error: { param: 'name' } },
    });
    for (const amount of [-1, 1.5, '1e3', '0x10', '-1', '9'.repeat(40), String((1n << 128n).toString()), null, {}]) {
      const body = { ...voucher(10n), maxClaimableAmount: amount };
      expect({ amount, status: (await ask('POST', '/vouchers', { token, body })).status }).toEqual({ amount, status: 400 });
    }
    const foreign = { descriptor: descriptorOf(consumer, hex20(1)) };
    expect(await ask('POST', '/channels', { token, body: foreign })).toMatchObject({
      status: 400,
      body: { error: { param: 'descriptor.payee' } },
    });
    expect(await ask('POST', '/channels', { token, body: { descriptor: { ...descriptor, more: 1 } } })).toMatchObject({ status: 400 });
    expect(await ask('POST', '/channels', { token, body: { descriptor: { ...descriptor, withdrawDelay: 10 } } })).toMatchObject({
      body: { error: { code: 'withdraw_delay_too_short' } },
    });
  });

  test('paths and methods', async () => {
    expect(await ask('GET', '/nothing', { token: ADMIN })).toMatchObject({ status: 404, body: { error: { code: 'not_found' } } });
    expect(await ask('GET', '/vouchers', { token: ADMIN })).toMatchObject({ status: 405, body: { error: { code: 'method_not_allowed' } } });
    expect(await ask('GET', `/channels/${hex32(1)}`, { token: ADMIN })).toMatchObject({ status: 404 });
    expect(await ask('GET', '/channels/..%2f..%2fledger', { token: ADMIN })).toMatchObject({ status: 404 });
    expect(await ask('GET', '/channels/%ff', { token: ADMIN })).toMatchObject({ status: 404 });
    expect(await ask('GET', '/receipts?after=-1', { token: ADMIN })).toMatchObject({ status: 400, body: { error: { param: 'after' } } });
  });

  test('settle redeems what is owed, once, net of what is settled; unknown stays underway', async () => {
    party.facts.headChanged('safe', head(5, 0));
    party.facts.headChanged('latest', head(5, party.clock.nowMs));
    party.facts.channelChanged(kvKey(channelId), channelState(descriptor));
    await ask('POST', '/channels', { token: ADMIN, body: { descriptor } });
    await ask('POST', '/vouchers', { token: ADMIN, body: voucher(100n) });
    const row = party.ledger.view.channel(channelId)!;
    await party.ledger.submit(() => ({
      ok: true,
      value: 0,
      changes: [{ table: 'channels', row: { ...row, charged: 10_000_001n as typeof row.charged } }],
    }));
    party.redeems.answers.push({ kind: 'unknown', message: 'no answer' }, { kind: 'pending', hash: hex32(5) });
    const first = await ask('POST', '/settle', { token: ADMIN, body: {} });
    expect(first).toMatchObject({
      status: 200,
      body: { settlements: [{ state: 'planned', tx: null, rows: [{ channelId, amount: '11' }] }] },
    });
    expect(await ask('POST', '/settle', { token: ADMIN })).toMatchObject({ body: { settlements: [{ state: 'planned', tx: hex32(5) }] } });
    expect(await ask('POST', '/settle', { token: ADMIN })).toMatchObject({ body: { settlements: [{ state: 'done' }] } });
    expect(await ask('POST', '/settle', { token: ADMIN })).toMatchObject({ body: { settlements: [] } });
    expect(party.redeems.sent.map((b) => b.rows[0]?.amount)).toEqual([11n, 11n, 11n]);
    expect(await ask('GET', '/ledger', { token: ADMIN })).toMatchObject({
      body: { settlements: [{ state: 'done' }], totals: { chargedMicro: '10000001' } },
    });
  });

  test('a stranger’s body is not read', async () => {
    const status = await new Promise<number>((resolve, reject) => {
      const sent = request(
        { port: server.port, path: '/manage/v1/consumers', method: 'POST', headers: { 'content-length': '5000000' } },
        (response) => {
          resolve(response.statusCode ?? 0);
          sent.destroy();
        },
      );
      sent.on('error', reject);
      sent.write('{');
    });
    expect(status).toBe(401);
  });
});

describe('at an edge', () => {
  beforeEach(() => start('edge'));

  test('only the admin is served, and there are no consumers', async () => {
    expect(await ask('POST', '/consumers', { token: ADMIN, body: { name: 'x' } })).toMatchObject({ status: 404 });
    expect(await ask('GET', '/ledger', { token: ADMIN })).toMatchObject({ status: 200, body: { totals: { requests: 0 } } });
    const { apiKey } = await party.management.createConsumer({ name: 'x' });
    expect(await ask('GET', '/receipts', { token: apiKey })).toMatchObject({ status: 401 });
    expect(await ask('GET', `/channels/${channelId}`, { token: ADMIN })).toMatchObject({ status: 404 });
  });
});
