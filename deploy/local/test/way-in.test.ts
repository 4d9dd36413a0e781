import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask, listenInside, listenOutside, parseTarget } from '../src/way-in.ts';

let folder = '';
const open: Server[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cupel-way-'));
});
afterEach(async () => {
  for (const server of open.splice(0)) server.close();
  await rm(folder, { recursive: true, force: true });
});

const listen = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    open.push(server);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(address !== null && typeof address === 'object' ? address.port : 0);
    });
  });
/** Sends a text, ends the sending side and gathers what comes back until the other side ends. */
const exchange = (port: number, text: string): Promise<string> =>
  new Promise((resolve) => {
    const socket: Socket = createConnection(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.on('error', () => resolve('error'));
    socket.on('close', () => resolve(answer));
    socket.end(text);
  });
const shouter = (): Server =>
  createServer({ allowHalfOpen: true }, (socket) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.on('end', () => socket.end(text.toUpperCase()));
  });

describe('the way in', () => {
  it('carries both directions to the end, also after one side has finished sending', async () => {
    const target = `127.0.0.1:${await listen(shouter())}`;
    const path = join(folder, 'way');
    open.push(listenInside(path, [target], () => undefined));
    const outside = await listenOutside(path, target);
    open.push(outside.server);
    const long = 'dial me\n'.repeat(50_000);
    expect(await exchange(outside.port, long)).toBe(long.toUpperCase());
  });

  it('dials nothing that is not on the list, until it is allowed', async () => {
    const target = `127.0.0.1:${await listen(shouter())}`;
    const path = join(folder, 'way');
    open.push(listenInside(path, [], () => undefined));
    const outside = await listenOutside(path, target);
    open.push(outside.server);
    expect(await exchange(outside.port, 'hello')).toBe('');
    expect(await ask(path, `allow ${target}`)).toBe('ok');
    expect(await exchange(outside.port, 'hello')).toBe('HELLO');
  });

  it('ends on request', async () => {
    const path = join(folder, 'way');
    const stopped = new Promise<void>((resolve) => open.push(listenInside(path, [], resolve)));
    expect(await ask(path, 'stop')).toBe('ok');
    await stopped;
  });
});

describe('parseTarget', () => {
  it('takes an IPv4 address and a port', () => {
    expect(parseTarget('10.96.0.7:80')).toEqual({ host: '10.96.0.7', port: 80 });
  });
  it.each(['10.96.0.7', 'router:80', '10.96.0.7:70000', '10.96.0.7:80\nallow 1.1.1.1:1'])('refuses %j', (text) => {
    expect(() => parseTarget(text)).toThrow('is not <IPv4 address>:<port>');
  });
});
