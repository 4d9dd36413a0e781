import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { memoryBus } from '@cupel/testing/memory-bus';
import { Pool } from 'undici';

import { startScriptEngine } from '../integration/router/script-engine.ts';
import { API_KEY, openWorld } from '../integration/router/world.ts';

/**
 * CPU per request of gateway and edge (with the test's ledger, in one process) against two bare node:http + undici pass-throughs (in one
 * process), in front of the same engine, interleaved in one run. Usage: node test/load/router.bench.ts [requests] [rounds]
 */
const CONCURRENCY = 32;
const BODY = JSON.stringify({
  model: 'assistant',
  messages: [{ role: 'user', content: 'Say something short. '.repeat(8) }],
  max_tokens: 50,
});

const bareProxy = async (target: string): Promise<string> => {
  const pool = new Pool(target, { connections: 1024, pipelining: 1 });
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      pool.dispatch(
        { path: request.url ?? '/', method: 'POST', headers: { 'content-type': 'application/json' }, body: Buffer.concat(chunks) },
        {
          onRequestStart: () => undefined,
          onResponseStart: (_c, status, headers) => void response.writeHead(status, { 'content-type': String(headers['content-type']) }),
          onResponseData: (_c, chunk) => void response.write(chunk),
          onResponseEnd: () => void response.end(),
          onResponseError: () => void response.destroy(),
        },
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

const serve = async (role: string, engine: string): Promise<string> => {
  if (role === 'engine') return (await startScriptEngine()).url;
  if (role === 'bare') return bareProxy(await bareProxy(engine));
  const world = await openWorld(memoryBus(), { direct: true });
  const provider = await world.addProvider('p', { url: engine });
  provider.payment.headroom = 1_000_000n;
  return world.baseUrl;
};

const [role, engine] = process.argv.slice(2);
if (process.send && role !== undefined) {
  const url = await serve(role, engine ?? '');
  process.on('message', () => process.send!({ cpu: process.cpuUsage() }));
  process.send({ url });
} else {
  const requests = Number(process.argv[2] ?? 2000);
  const rounds = Number(process.argv[3] ?? 5);
  const children: ChildProcess[] = [];
  const start = async (...args: string[]): Promise<{ child: ChildProcess; url: string }> => {
    const child = fork(import.meta.filename, args);
    children.push(child);
    const [message] = (await once(child, 'message')) as [{ url: string }];
    return { child, url: message.url };
  };
  const cpuOf = async (child: ChildProcess): Promise<number> => {
    child.send('cpu');
    const [message] = (await once(child, 'message')) as [{ cpu: NodeJS.CpuUsage }];
    return message.cpu.user + message.cpu.system;
  };
  const load = async (pool: Pool, count: number, stream: boolean): Promise<void> => {
    const body = stream ? `{"stream":true,${BODY.slice(1)}` : BODY;
    let left = count;
    const worker = async (): Promise<void> => {
      while (left-- > 0) {
        const answer = await pool.request({
          path: '/v1/chat/completions',
          method: 'POST',
          headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
          body,
        });
        const text = await answer.body.text();
        if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}: ${text}`);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  };
  try {
    const { url } = await start('engine');
    const sides = [
      { name: 'bare ×2', ...(await start('bare', url)) },
      { name: 'gateway + edge', ...(await start('router', url)) },
    ].map((side) => ({
      ...side,
      pool: new Pool(side.url, { connections: CONCURRENCY }),
      micros: { whole: [] as number[], stream: [] as number[] },
    }));
    for (const side of sides) await load(side.pool, 500, false);
    for (let round = 0; round < rounds; round++) {
      for (const kind of ['whole', 'stream'] as const) {
        for (const side of sides) {
          const before = await cpuOf(side.child);
          await load(side.pool, requests, kind === 'stream');
          side.micros[kind].push(((await cpuOf(side.child)) - before) / requests);
        }
      }
    }
    const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
    for (const kind of ['whole', 'stream'] as const) {
      const [bare, router] = sides.map((side) => median(side.micros[kind]));
      for (const side of sides)
        console.log(`${kind.padEnd(6)}  ${side.name.padEnd(15)}  ${median(side.micros[kind]).toFixed(0).padStart(6)} µs CPU per request`);
      console.log(`${kind.padEnd(6)}  ratio            ${(router! / bare!).toFixed(2).padStart(6)}`);
    }
    for (const side of sides) await side.pool.close();
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}
