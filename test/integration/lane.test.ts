import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { connectChain } from '@cupel/chain/connect';
import { memoryJournal } from '@cupel/chain/journal-memory';
import { openSqliteJournal } from '@cupel/chain/journal-sqlite';
import { openLane } from '@cupel/chain/lane';
import type { Lane, LaneObserver } from '@cupel/chain/lane';
import type { TransactionJournal } from '@cupel/chain/journal';
import { startAnvil } from '@cupel/local/processes/anvil';
import type { Anvil } from '@cupel/local/processes/anvil';
import type { Hex } from '@cupel/protocol/hex';
import { signerFromKey } from '@cupel/signing/secp256k1';
import { memoryLogger } from '@cupel/testing/logger';
import type { MemoryLogger } from '@cupel/testing/logger';
import { startRpcProxy } from '@cupel/testing/rpc-proxy';
import type { RpcProxy } from '@cupel/testing/rpc-proxy';
import { eventually } from '@cupel/testing/wait';
import { Transaction, id } from 'ethers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

/** Adds one to slot 0 at every call: counts effects. */
const COUNTER = '0x60005460010160005500';
const COUNTER_AT: Hex = `0x${'c0'.repeat(20)}`;
/** Reverts with AlreadyRegistered(0x11…). */
const REFUSER = `0x6024600c60003960246000fd${id('AlreadyRegistered(bytes32)').slice(2, 10)}${'11'.repeat(32)}`;
const REFUSER_AT: Hex = `0x${'de'.repeat(20)}`;

const clock = { nowMs: () => Date.now() };

describe('the transaction lane', () => {
  let anvil: Anvil;
  let proxy: RpcProxy;
  let folder: string;
  let account = 0;
  let logger: MemoryLogger;
  const stack = new AsyncDisposableStack();

  beforeAll(async () => {
    anvil = stack.use(await startAnvil({ slotsInAnEpoch: 1, accounts: 20 }));
    proxy = stack.use(await startRpcProxy(anvil.rpcUrl));
    folder = await mkdtemp(join(tmpdir(), 'cupel-lane-'));
    await anvil.rpc('anvil_setCode', [COUNTER_AT, COUNTER]);
    await anvil.rpc('anvil_setCode', [REFUSER_AT, REFUSER]);
  });
  afterAll(async () => {
    await stack.disposeAsync();
    await rm(folder, { recursive: true, force: true });
  });

  let journal: TransactionJournal & Disposable;
  let path: string;
  const lanes: Lane[] = [];
  beforeEach(async () => {
    account += 1;
    logger = memoryLogger();
    path = join(folder, `${account}.sqlite`);
    journal = openSqliteJournal(path);
    proxy.rule(() => 'pass');
    await anvil.rpc('anvil_setStorageAt', [COUNTER_AT, `0x${'00'.repeat(32)}`, `0x${'00'.repeat(32)}`]);
  });
  afterEach(async () => {
    for (const lane of lanes.splice(0)) await lane[Symbol.asyncDispose]();
    await anvil.rpc('evm_setAutomine', [true]);
    journal[Symbol.dispose]();
  });

  const signer = () => signerFromKey(anvil.accounts[account]!.privateKey);
  const open = (more: { journal?: TransactionJournal; raiseAfterBlocks?: number; observer?: LaneObserver } = {}): Lane => {
    const client = connectChain({ rpc: [{ name: 'proxy', url: proxy.url }], chainId: anvil.chainId, logger, timeoutMs: 2000 });
    const lane = openLane({ client, signer: signer(), journal, clock, logger, pollMs: 30, ...more });
    lanes.push(lane);
    return lane;
  };
  const count = async (): Promise<number> => Number(await anvil.rpc('eth_getStorageAt', [COUNTER_AT, '0x0', 'latest']));
  const bump = (key: string, waitMs = 10_000) => ({ key, purpose: 'count', call: { to: COUNTER_AT, data: '0x' as const }, waitMs });
  const sentNonces = (): number[] =>
    proxy.requests.filter((r) => r.method === 'eth_sendRawTransaction').map((r) => Transaction.from(String(r.params[0])).nonce);

  it('sends once per key, in order, many at once', async () => {
    const lane = open();
    const outcomes = await Promise.all(['a', 'b', 'a', 'c', 'b'].map((key) => lane.send(bump(key))));
    expect(outcomes.map((o) => o.kind)).toEqual(['mined', 'mined', 'mined', 'mined', 'mined']);
    expect(await count()).toBe(3);
    expect(await lane.send(bump('a'))).toMatchObject({ kind: 'mined' });
    expect(await lane.outcome('c')).toMatchObject({ kind: 'mined' });
    expect(await lane.outcome('never')).toBeUndefined();
    expect(await count()).toBe(3);
  });

  it('says what the contract refuses, before a transaction is spent, and lets the key be used again', async () => {
    const lane = open();
    const refused = { ...bump('r'), call: { to: REFUSER_AT, data: '0x' as const } };
    const outcome = await lane.send(refused);
    const error = { name: 'AlreadyRegistered', message: expect.stringContaining('nothing is to be done') };
    expect(outcome).toMatchObject({ kind: 'reverted', simulated: true, error });
    expect(await anvil.rpc('eth_getTransactionCount', [lane.address, 'latest'])).toBe('0x0');
    expect(await lane.send(bump('r'))).toMatchObject({ kind: 'mined' });
  });

  it('keeps the outcome of one that failed in its block', async () => {
    const lane = open();
    await anvil.rpc('evm_setAutomine', [false]);
    const sending = lane.send(bump('late'));
    await eventually('broadcast', () => journal.open(`${anvil.chainId}:${lane.address}`)[0]?.state === 'sent');
    await anvil.rpc('anvil_setCode', [COUNTER_AT, REFUSER]);
    try {
      await anvil.rpc('anvil_mine', ['0x1']);
      expect(await sending).toMatchObject({ kind: 'reverted', simulated: false });
      expect(await lane.send(bump('late'))).toMatchObject({ kind: 'reverted', simulated: false });
    } finally {
      await anvil.rpc('anvil_setCode', [COUNTER_AT, COUNTER]);
    }
  });

  it('charges once when the reply to the broadcast is lost', async () => {
    let lost = 0;
    proxy.rule(({ method }) => (method === 'eth_sendRawTransaction' && lost++ < 2 ? 'unanswered' : 'pass'));
    expect(await open().send(bump('x'))).toMatchObject({ kind: 'mined' });
    expect(lost).toBeGreaterThan(0);
    expect(await count()).toBe(1);
  });

  it('sends the same bytes again when the broadcast never arrived', async () => {
    let lost = 0;
    proxy.rule(({ method }) => (method === 'eth_sendRawTransaction' && lost++ < 1 ? 'lost' : 'pass'));
    const lane = open();
    const before = proxy.requests.length;
    const sending = lane.send(bump('x'));
    await eventually('lost once', () => lost === 1);
    await anvil.rpc('anvil_mine', ['0x1']);
    expect(await sending).toMatchObject({ kind: 'mined' });
    const raws = new Set(
      proxy.requests
        .slice(before)
        .filter((r) => r.method === 'eth_sendRawTransaction')
        .map((r) => String(r.params[0])),
    );
    expect(raws.size).toBe(1);
    expect(await count()).toBe(1);
  });

  it('goes on after a crash between journal and broadcast, and after one between broadcast and reply', async () => {
    for (const fate of ['lost', 'unanswered'] as const) {
      await anvil.rpc('evm_setAutomine', [false]);
      proxy.rule(({ method }) => (method === 'eth_sendRawTransaction' ? fate : 'pass'));
      const lane = open();
      const sending = lane.send(bump(`crash-${fate}`));
      await eventually('signed', () => journal.open(`${anvil.chainId}:${lane.address}`)[0]?.attempts.length === 1);
      await lanes.pop()![Symbol.asyncDispose]();
      expect((await sending).kind).toBe('pending');
      journal[Symbol.dispose]();
      journal = openSqliteJournal(path);
      proxy.rule(() => 'pass');
      await anvil.rpc('evm_setAutomine', [true]);
      const again = open();
      expect(await again.send(bump(`crash-${fate}`))).toMatchObject({ kind: 'mined' });
      await lanes.pop()![Symbol.asyncDispose]();
    }
    expect(await count()).toBe(2);
  });

  it('raises the fee by at least an eighth, as nodes ask, until it is mined', async () => {
    await anvil.rpc('evm_setAutomine', [false]);
    const fees: bigint[] = [];
    proxy.rule(({ method, params }) => {
      if (method !== 'eth_sendRawTransaction') return 'pass';
      const fee = Transaction.from(String(params[0])).maxFeePerGas ?? 0n;
      const last = fees.at(-1);
      if (last !== undefined && fee !== last && fee * 10n < last * 11n) {
        return { error: { code: -32000, message: 'replacement transaction underpriced' } };
      }
      if (fee !== last) fees.push(fee);
      return fees.length < 3 ? { error: { code: -32000, message: 'transaction underpriced: below the pool minimum' } } : 'pass';
    });
    const lane = open({ raiseAfterBlocks: 2 });
    const sending = lane.send(bump('slow', 20_000));
    await eventually('three fees', async () => {
      await anvil.rpc('anvil_mine', ['0x1']);
      return fees.length >= 3;
    });
    await anvil.rpc('evm_setAutomine', [true]);
    await anvil.rpc('anvil_mine', ['0x1']);
    expect(await sending).toMatchObject({ kind: 'mined' });
    for (const [i, fee] of fees.slice(1).entries()) expect(fee * 8n).toBeGreaterThanOrEqual(fees[i]! * 9n);
    expect(await count()).toBe(1);
    expect(new Set(sentNonces().slice(-fees.length)).size).toBe(1);
  });

  it('sends again what a reorganisation removed', async () => {
    const lane = open();
    expect(await lane.send(bump('deep'))).toMatchObject({ kind: 'mined' });
    expect(await count()).toBe(1);
    await anvil.rpc('anvil_rollback', [1]);
    expect(await count()).toBe(0);
    await eventually('mined again', async () => (await count()) === 1);
    await eventually('the lane sees it', async () => (await lane.outcome('deep'))?.kind === 'mined');
  });

  it('waits for pending transactions that it does not know instead of taking their nonces', async () => {
    await anvil.rpc('evm_setAutomine', [false]);
    const foreign = open({ journal: memoryJournal() });
    const first = foreign.send(bump('foreign', 300));
    expect((await first).kind).toBe('pending');
    await lanes.pop()![Symbol.asyncDispose]();
    const lane = open({ journal: memoryJournal() });
    const waiting = await lane.send(bump('mine', 500));
    expect(waiting.kind).toBe('unknown');
    expect(lane.status()).toMatch(/pending transactions that this journal does not know/);
    await anvil.rpc('evm_setAutomine', [true]);
    await anvil.rpc('anvil_mine', ['0x1']);
    expect(await lane.send(bump('mine'))).toMatchObject({ kind: 'mined' });
    expect(await count()).toBe(2);
  });

  it('is unknown, not lost, while the chain is away', async () => {
    proxy.rule(() => 'lost');
    const lane = open();
    const outcome = await lane.send(bump('dark', 300));
    expect(outcome.kind).toBe('unknown');
    proxy.rule(() => 'pass');
    expect(await lane.send(bump('dark', 20_000))).toMatchObject({ kind: 'mined' });
    expect(await count()).toBe(1);
  });

  it('refuses an endpoint of another chain', async () => {
    const client = connectChain({ rpc: [{ name: 'wrong', url: anvil.rpcUrl }], chainId: 1, logger });
    await expect(client.head('latest')).rejects.toThrow(/is chain 31337, the configuration says 1/);
  });

  it('asks the next endpoint when one fails', async () => {
    proxy.rule(() => 'lost');
    const rpc = [
      { name: 'broken', url: proxy.url },
      { name: 'good', url: anvil.rpcUrl },
    ];
    const client = connectChain({ rpc, chainId: anvil.chainId, logger });
    expect((await client.head('latest')).number).toBeGreaterThan(0);
    expect(client.status()).toBeUndefined();
  });
});
