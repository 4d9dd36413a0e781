import { createServer } from 'node:http';

import { memoryLogger } from '@cupel/testing/logger';
import { address, word } from '@cupel/testing/builders';
import { afterEach, describe, expect, it } from 'vitest';

import { CallReverted, ChainUnavailable, RpcError } from '../src/client.ts';
import type { ChainClient } from '../src/client.ts';
import { connectChain } from '../src/connect.ts';

type Answer = { result: unknown } | { error: unknown } | { raw: string };

const stack: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of stack.splice(0)) await one[Symbol.asyncDispose]();
});

const node = async (answer: (method: string, params: unknown[]) => Answer): Promise<{ url: string; asked: string[] }> => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      const { id, method, params } = JSON.parse(body) as { id: number; method: string; params: unknown[] };
      asked.push(method);
      const reply = method === 'eth_chainId' ? { result: '0x7a69' } : answer(method, params);
      response.end('raw' in reply ? reply.raw : JSON.stringify({ jsonrpc: '2.0', id, ...reply }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stack.push({
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
  const at = server.address();
  return { url: `http://127.0.0.1:${typeof at === 'object' && at ? at.port : 0}`, asked };
};

const client = (...urls: string[]): ChainClient =>
  connectChain({ rpc: urls.map((url, i) => ({ name: `rpc${i}`, url })), chainId: 31337, logger: memoryLogger(), timeoutMs: 500 });

const block = (number: number) => ({
  number: `0x${number.toString(16)}`,
  hash: word(number),
  parentHash: word(number - 1),
  timestamp: '0x1',
  baseFeePerGas: '0x7',
});
const log = (blockNumber: number, logIndex: number) => ({
  address: address(1),
  topics: [word(9)],
  data: '0x',
  blockNumber: `0x${blockNumber.toString(16)}`,
  blockHash: word(blockNumber),
  transactionHash: word(8),
  logIndex: `0x${logIndex.toString(16)}`,
});

describe('connectChain', () => {
  it('reads blocks, and undefined for one that is not known', async () => {
    const { url } = await node((_m, [ref]) => ({ result: ref === '0x5' ? block(5) : null }));
    expect(await client(url).block(5)).toMatchObject({ number: 5, parentHash: word(4), baseFeePerGas: 7n });
    expect(await client(url).block(6)).toBeUndefined();
  });

  it('tells reverts with their data from other errors', async () => {
    const { url } = await node((method) =>
      method === 'eth_call'
        ? { error: { code: 3, message: 'execution reverted', data: '0xdeadbeef' } }
        : { error: { code: -32000, message: 'insufficient funds' } },
    );
    const c = client(url);
    const reverted = await c.call({ to: address(1), data: '0x' }).catch((error: unknown) => error);
    expect(reverted).toBeInstanceOf(CallReverted);
    expect(reverted).toMatchObject({ data: '0xdeadbeef' });
    await expect(c.sendRaw('0x1234')).rejects.toThrow(RpcError);
  });

  it('treats "already known" as sent', async () => {
    const { url } = await node(() => ({ error: { code: -32000, message: 'already known' } }));
    expect(await client(url).sendRaw('0x1234')).toMatch(/^0x[0-9a-f]{64}$/);
  });

  it('sorts logs, drops doubles and rows of another block, and splits a range that is too large', async () => {
    const { url, asked } = await node((_method, params) => {
      const [{ fromBlock, toBlock, blockHash }] = params as [{ fromBlock?: string; toBlock?: string; blockHash?: string }];
      if (blockHash !== undefined) return { result: [log(3, 1), log(3, 0), log(3, 1), log(4, 0)] };
      const [from, to] = [Number(fromBlock), Number(toBlock)];
      if (to - from >= 2) return { error: { code: -32602, message: 'query exceeds max block range 2' } };
      return { result: Array.from({ length: to - from + 1 }, (_, i) => log(from + i, 0)) };
    });
    const c = client(url);
    expect((await c.logs({ addresses: [address(1)], blockHash: word(3) })).map((l) => l.logIndex)).toEqual([0, 1]);
    expect((await c.logs({ addresses: [address(1)], fromBlock: 1, toBlock: 7 })).map((l) => l.blockNumber)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(asked.filter((m) => m === 'eth_getLogs').length).toBeGreaterThan(4);
  });

  it('asks the next endpoint when one sends nonsense, rests it, and says what is wrong when none is left', async () => {
    const broken = await node(() => ({ raw: '<html>' }));
    const odd = await node(() => ({ result: { number: 'x' } }));
    const good = await node(() => ({ result: block(5) }));
    const c = client(broken.url, odd.url, good.url);
    expect((await c.head('latest')).number).toBe(5);
    const before = broken.asked.length;
    await c.head('latest');
    expect(broken.asked.length).toBe(before);
    expect(c.status()).toBeUndefined();
    const alone = client(broken.url);
    await expect(alone.head('latest')).rejects.toThrow(ChainUnavailable);
    expect(alone.status()).toMatch(/rpc0/);
  });
});
