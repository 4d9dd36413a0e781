import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { connectBus } from '@cupel/bus/connection';
import type { Bus } from '@cupel/bus/bus';
import { renderAccounts } from '@cupel/bus/nats-config';
import { startAnvil } from '@cupel/local/processes/anvil';
import type { Anvil } from '@cupel/local/processes/anvil';
import { freePorts, startChild } from '@cupel/local/processes/child';
import type { Child } from '@cupel/local/processes/child';
import { startNats } from '@cupel/local/processes/nats';
import type { Nats } from '@cupel/local/processes/nats';
import type { Hex } from '@cupel/protocol/hex';
import { channelIdOf } from '@cupel/protocol/ids';
import { baseUnits } from '@cupel/protocol/money';
import { channelState, claimState, headState, registryEntry, stakeState } from '@cupel/protocol/wire/projections';
import { kvKey } from '@cupel/protocol/wire/subjects';
import { keccak256 } from '@cupel/signing/keccak';
import { memoryLogger } from '@cupel/testing/logger';
import { deployTestMarket } from '@cupel/testing/market';
import type { TestMarket } from '@cupel/testing/market';
import { eventually } from '@cupel/testing/wait';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const PASSWORD = 'a-password-of-20-ch.';

describe('the watcher, with a real chain and a real bus', () => {
  const stack = new AsyncDisposableStack();
  let folder: string;
  let anvil: Anvil;
  let nats: Nats;
  let market: TestMarket;
  let reader: Bus;
  let writer: Bus;
  let watcher: Child;
  let metricsPort: number;

  const startWatcher = async (): Promise<Child> =>
    startChild({
      name: 'watcher',
      command: process.execPath,
      args: [join(import.meta.dirname, '../../services/watcher/src/main.ts')],
      logPath: join(folder, 'watcher.log'),
      env: { CUPEL_CONFIG: join(folder, 'watcher.json') },
    });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cupel-watcher-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    // Far finality, so that a reorganisation is never below it.
    anvil = stack.use(await startAnvil({ slotsInAnEpoch: 32 }));
    const users = [
      { user: 'watcher', role: 'watcher' as const, password: PASSWORD },
      { user: 'reader', role: 'gateway-payment' as const, scope: 'gateway.main', password: PASSWORD },
    ];
    nats = stack.use(await startNats({ config: renderAccounts([{ name: 'gateway', users }]) }));
    market = await deployTestMarket(anvil);
    const connect = async (user: string) =>
      stack.use(await connectBus({ url: nats.url, user, password: PASSWORD, name: user, logger: memoryLogger() }));
    reader = await connect('reader');
    writer = await connect('watcher');
    [metricsPort = 0] = await freePorts(1);
    await writeFile(join(folder, 'user'), 'watcher\n');
    await writeFile(join(folder, 'password'), PASSWORD);
    const { contracts, block } = market.deployment;
    await writeFile(
      join(folder, 'watcher.json'),
      JSON.stringify({
        metricsPort,
        nats: { url: nats.url, userFile: join(folder, 'user'), passwordFile: join(folder, 'password') },
        market: { chainId: anvil.chainId, rpc: [{ name: 'anvil', url: anvil.rpcUrl }], contracts },
        startBlock: block,
        pollMs: 100,
        statePath: join(folder, 'watcher.sqlite'),
      }),
    );
    watcher = await startWatcher();
    stack.defer(() => watcher.stop());
  });
  afterAll(() => stack.disposeAsync());

  const registry = () => reader.kv('registry', registryEntry);
  const caughtUp = async (): Promise<void> => {
    const { number, hash } = await market.client.head('latest');
    await eventually(
      `projections at block ${number}`,
      async () => (await reader.kv('head', headState).get('latest'))?.hash === hash,
      20_000,
    );
  };

  let kept: { modelId: Hex; versionId: Hex; owner: Hex };
  let channelId: Hex;

  it('projects registrations, stakes, channels and claims, with the contracts’ own numbers', async () => {
    kept = await market.registerModel(1, 'honest/digits');
    const payer = anvil.accounts[2]!.address.toLowerCase() as Hex;
    const descriptor = {
      payer,
      payee: kept.owner,
      token: market.deployment.contracts.paymentToken,
      signerKind: 0,
      signer: payer,
      withdrawDelay: 86_400,
      salt: `0x${'07'.repeat(32)}` as Hex,
    };
    channelId = channelIdOf(keccak256, descriptor);
    await market.mint(payer, 5_000_000n);
    await market.send(2, market.calls.approve(descriptor.token, market.deployment.contracts.paymentChannels, 5_000_000n));
    await market.send(2, market.calls.open(descriptor, baseUnits(3_000_000n)));
    await market.send(2, market.calls.topUp(descriptor, baseUnits(500_000n)));
    await market.send(1, market.calls.postRoot(kept.versionId, `0x${'33'.repeat(32)}`, 4, 1_000_000n));
    await caughtUp();

    const { stakeVault: _vault, ...names } = market.deployment.contracts;
    expect(names.modelRegistry).toMatch(/^0x/);
    const model = await market.views.model(kept.modelId);
    const version = await market.views.version(kept.versionId);
    expect(await registry().get(kvKey(kept.modelId))).toMatchObject({
      owner: model.owner,
      slug: 'honest/digits',
      versionId: kept.versionId,
      versionNumber: 1,
      manifestSha256: kvKey(version.manifestHash),
      arbiter: version.arbiter,
      mode: 'IntegerExecution',
      prices: await market.views.prices(kept.modelId),
      endpoint: 'https://edge.test',
      status: 'active',
      payout: kept.owner,
      registeredAtBlock: model.registeredAtBlock,
    });
    const stake = await market.views.stake(kept.modelId);
    expect(await reader.kv('stakes', stakeState).get(kvKey(kept.modelId))).toMatchObject({
      staked: stake.free + stake.locked,
      locked: stake.locked,
      unbonding: 0n,
      bond: stake.bond,
    });
    expect(stake.locked).toBeGreaterThan(0n);
    const channel = await market.views.channel(channelId);
    expect(await reader.kv('channels', channelState).get(kvKey(channelId))).toMatchObject({
      deposit: channel.deposit,
      settled: 0n,
      status: 'open',
      descriptor,
    });
    const claims = [...(await reader.kv('claims', claimState).entries()).values()];
    expect(claims).toHaveLength(1);
    expect(claims[0]).toMatchObject({
      versionId: kept.versionId,
      count: 4,
      status: 'open',
      locked: (await market.views.claim(claims[0]!.claimId)).lock,
    });
  });

  it('leaves no trace of a registration, a stake and a claim that a reorganisation removed', async () => {
    await caughtUp();
    const before = await market.client.head('latest');
    const snapshot = {
      registry: await registry().entries(),
      stakes: await reader.kv('stakes', stakeState).entries(),
      claims: await reader.kv('claims', claimState).entries(),
    };
    const lost = await market.registerModel(3, 'cheat/digits');
    await market.send(3, market.calls.postRoot(lost.versionId, `0x${'44'.repeat(32)}`, 2, 1_000_000n));
    await market.send(
      1,
      market.calls.setPrices(kept.modelId, { inputPerMillion: baseUnits(1n), outputPerMillion: baseUnits(2n), perRequest: baseUnits(3n) }),
    );
    await caughtUp();
    expect(await registry().get(kvKey(lost.modelId))).toBeDefined();
    expect((await registry().get(kvKey(kept.modelId)))?.prices.perRequest).toBe(3n);

    const depth = (await market.client.head('latest')).number - before.number;
    await anvil.rpc('anvil_rollback', [depth]);
    await anvil.rpc('anvil_mine', ['0x2']);
    await caughtUp();
    await eventually('the claim is gone', async () => (await reader.kv('claims', claimState).entries()).size === 1);
    expect(await registry().entries()).toEqual(snapshot.registry);
    expect(await reader.kv('stakes', stakeState).entries()).toEqual(snapshot.stakes);
    expect(await reader.kv('claims', claimState).entries()).toEqual(snapshot.claims);
    const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    expect(metrics).toMatch(/cupel_watcher_reorgs_total [1-9]/);
    expect(metrics).toContain('cupel_watcher_halted 0');
  });

  it('rebuilds every bucket when all of JetStream is deleted', async () => {
    const before = await registry().entries();
    const seen = new Map<string, string>();
    await using watch = registry().watch((key, value) => void (value ? seen.set(key, value.slug) : seen.delete(key)));
    await watch.ready;
    await nats.restart({ wipe: true });
    await eventually(
      'rebuilt',
      async () => (await registry().entries()).size === before.size && (await reader.kv('head', headState).get('latest')) !== undefined,
      30_000,
    );
    expect(await registry().entries()).toEqual(before);
    expect((await reader.kv('channels', channelState).get(kvKey(channelId)))?.deposit).toBe(3_500_000n);
    expect([...seen.keys()]).toEqual([...before.keys()]);
  });

  it('rebuilds from the chain when it is killed and its state is lost, and deletes keys that must not exist', async () => {
    const before = await registry().entries();
    await watcher.kill();
    await rm(join(folder, 'watcher.sqlite'), { force: true });
    await rm(join(folder, 'watcher.sqlite-wal'), { force: true });
    await rm(join(folder, 'watcher.sqlite-shm'), { force: true });
    const ghost = 'ee'.repeat(32);
    await writer.kv('registry', registryEntry).put(ghost, { ...[...before.values()][0]!, slug: 'ghost/model' });
    await market.send(1, market.calls.setEndpoint(kept.modelId, 'https://new.test'));
    watcher = await startWatcher();
    await eventually('the new endpoint', async () => (await registry().get(kvKey(kept.modelId)))?.endpoint === 'https://new.test', 20_000);
    await caughtUp();
    expect([...(await registry().entries()).keys()]).toEqual([...before.keys()]);
  });

  it('is ready, writes nothing while nothing changes, stops cleanly, and its log holds no password', async () => {
    await eventually('ready', async () => (await fetch(`http://127.0.0.1:${metricsPort}/readyz`)).ok);
    const writes = async () =>
      /projection_writes_total\{bucket="registry"\} (\d+)/.exec(await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text())?.[1];
    const before = await writes();
    await anvil.rpc('anvil_mine', ['0x3']);
    await caughtUp();
    expect(await writes()).toBe(before);
    await watcher.stop(10_000);
    expect((await watcher.exited).code).toBe(0);
    expect(await readFile(join(folder, 'watcher.log'), 'utf8')).not.toContain(PASSWORD);
  });
});
