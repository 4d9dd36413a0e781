import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { eventually } from '@cupel/testing/wait';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { endpointPolicy } from '../../src/choose/endpoint-policy.ts';
import { guardedConnector, guardedLookup } from '../../src/io/dial.ts';
import type { Resolve } from '../../src/io/dial.ts';
import { UndiciUpstream } from '../../src/io/upstream.ts';
import { fetchWhole } from '../../src/stream/exchange.ts';
import type { UpstreamRequest } from '../../src/stream/exchange.ts';

let server: Server;
let asked: string[];
let written: number;
let closed: boolean;

beforeEach(async () => {
  asked = [];
  written = 0;
  closed = false;
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.on('close', () => (closed = true));
    response.on('error', () => undefined);
    if (request.url === '/redirect') return void response.writeHead(302, { location: '/target' }).end();
    if (request.url === '/silent') return;
    if (request.url === '/cut') {
      response.writeHead(200, { 'content-length': '100' }).write('x');
      return void setTimeout(() => response.destroy(), 20);
    }
    if (request.url === '/flood') {
      const more = (): void => {
        while (!response.destroyed && written < 2000) {
          written += 1;
          if (!response.write(Buffer.alloc(65_536))) return void response.once('drain', more);
        }
        response.end();
      };
      return more();
    }
    response.writeHead(200, { trailer: 'x-cupel-receipt' });
    response.write('hello');
    response.addTrailers({ 'x-cupel-receipt': 'r1' });
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

const port = (): number => (server.address() as AddressInfo).port;
const get = (path: string, host = '127.0.0.1'): UpstreamRequest => ({
  origin: `http://${host}:${port()}`,
  path,
  method: 'GET',
  headers: {},
  headersTimeoutMs: 300,
  idleTimeoutMs: 300,
});

describe('undici upstream', () => {
  test('gives the whole answer with its trailers', async () => {
    await using upstream = new UndiciUpstream({ connectTimeoutMs: 1000 });
    const answer = await fetchWhole(upstream, get('/'), 1000);
    expect([answer.status, answer.body.toString(), answer.trailers['x-cupel-receipt']]).toEqual([200, 'hello', 'r1']);
  });

  test('never follows a redirect', async () => {
    await using upstream = new UndiciUpstream({ connectTimeoutMs: 1000 });
    expect((await fetchWhole(upstream, get('/redirect'), 1000)).status).toBe(302);
    expect(asked).toEqual(['GET /redirect']);
  });

  test.each([
    ['/silent', 'timeout', true],
    ['/cut', 'cut', true],
    ['/flood', 'too_large', true],
  ])('%s fails as %s', async (path, kind, sent) => {
    await using upstream = new UndiciUpstream({ connectTimeoutMs: 1000 });
    await expect(fetchWhole(upstream, get(path), 1000)).rejects.toMatchObject({ kind, sent });
  });

  test('nobody listens: connect, and nothing was sent', async () => {
    await using upstream = new UndiciUpstream({ connectTimeoutMs: 1000 });
    await expect(fetchWhole(upstream, { ...get('/'), origin: 'http://127.0.0.1:1' }, 1000)).rejects.toMatchObject({
      kind: 'connect',
      sent: false,
    });
  });

  test('an abort reaches the server within a moment', async () => {
    await using upstream = new UndiciUpstream({ connectTimeoutMs: 1000 });
    const left = new AbortController();
    const asking = fetchWhole(upstream, { ...get('/silent'), headersTimeoutMs: 60_000 }, 1000, left.signal);
    await eventually('asked', () => asked.length === 1);
    left.abort();
    await expect(asking).rejects.toMatchObject({ kind: 'aborted' });
    await eventually('closed', () => closed, 1000);
  });

  test('a paused body holds the server back, a resumed one goes on', async () => {
    await using upstream = new UndiciUpstream({ connectTimeoutMs: 1000 });
    let size = 0;
    const ended = Promise.withResolvers<void>();
    const call = upstream.send(
      { ...get('/flood'), idleTimeoutMs: 30_000 },
      {
        head: (_head, own) => ({
          data(chunk) {
            if (size === 0) own.pause();
            size += chunk.length;
          },
          end: () => ended.resolve(),
          failed: ended.reject,
        }),
        failed: ended.reject,
      },
    );
    let before = -1;
    await eventually('the server waits', async () => {
      const waits = written > 0 && written === before;
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return waits;
    });
    expect(written).toBeLessThan(2000);
    call.resume();
    await ended.promise;
    expect(size).toBe(2000 * 65_536);
  });
});

describe('dialling providers', () => {
  const policy = endpointPolicy({ allowedCIDRs: ['10.0.0.0/8'], deniedAddresses: ['10.96.0.1'] });
  const names: Record<string, string[]> = {
    'loopback.example': ['127.0.0.1'],
    'metadata.example': ['169.254.169.254'],
    'mixed.example': ['93.184.216.34', '127.0.0.1'],
    'mapped.example': ['::ffff:127.0.0.1'],
    'private.example': ['192.168.1.1'],
    'api.example': ['10.96.0.1'],
    'nothing.example': [],
    'good.example': ['10.1.2.3'],
  };
  const resolve: Resolve = (name, _options, done) => {
    const found = names[name];
    if (!found) return done(Object.assign(new Error('unknown name'), { code: 'ENOTFOUND' }), []);
    done(
      null,
      found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };

  test.each([
    'loopback.example',
    'metadata.example',
    'mixed.example',
    'mapped.example',
    'private.example',
    'api.example',
    'nothing.example',
  ])('%s is refused when it is connected, and no byte is sent', async (name) => {
    await using upstream = new UndiciUpstream({ connect: guardedConnector(policy, 1000, resolve), connectTimeoutMs: 1000 });
    await expect(fetchWhole(upstream, get('/', name), 1000)).rejects.toMatchObject({ kind: 'refused_address', sent: false });
    expect(asked).toEqual([]);
  });

  test.each(['127.0.0.1', 'localhost', '[::1]', '2130706433', '0.0.0.0'])('%s as the URL names it is refused', async (host) => {
    await using upstream = new UndiciUpstream({ connect: guardedConnector(policy, 1000), connectTimeoutMs: 1000 });
    await expect(fetchWhole(upstream, get('/', host), 1000)).rejects.toMatchObject({ kind: 'refused_address' });
    expect(asked).toEqual([]);
  });

  test('the socket is checked again: a resolver that lies to the check gains nothing', async () => {
    const open = endpointPolicy({ allowedCIDRs: [], deniedAddresses: [] });
    let checks = 0;
    // The look-up passes, as if the name had been re-bound between check and connect.
    const lying = { ...open, refuseAddress: (text: string) => (checks++ === 0 ? undefined : open.refuseAddress(text)) };
    const toLoopback: Resolve = (_name, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]);
    await using upstream = new UndiciUpstream({ connect: guardedConnector(lying, 1000, toLoopback), connectTimeoutMs: 1000 });
    await expect(fetchWhole(upstream, get('/', 'rebound.example'), 1000)).rejects.toMatchObject({ kind: 'refused_address' });
    expect(asked).toEqual([]);
  });

  test('an allowed name is looked up as usual, one address or all', () => {
    const got: unknown[] = [];
    guardedLookup(policy, resolve)('good.example', { all: true }, (...result) => got.push(result));
    guardedLookup(policy, resolve)('good.example', {}, (...result) => got.push(result));
    expect(got).toEqual([
      [null, [{ address: '10.1.2.3', family: 4 }]],
      [null, '10.1.2.3', 4],
    ]);
  });
});
