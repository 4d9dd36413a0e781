import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { connectBus } from '@cupel/bus/connection';
import { freePorts } from '@cupel/local/processes/child';
import { startNats } from '@cupel/local/processes/nats';
import { baseUnits } from '@cupel/protocol/money';
import { probeValue } from '@cupel/protocol/wire/bus';
import { headState, registryEntry, stakeState } from '@cupel/protocol/wire/projections';
import type { RegistryEntry } from '@cupel/protocol/wire/projections';
import { kvKey, probeSubject } from '@cupel/protocol/wire/subjects';
import { memoryLogger } from '@cupel/testing/logger';
import { eventually } from '@cupel/testing/wait';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { bytes32, newKey, sha256, TestPayment } from './router/test-payment.ts';

/** services/router as its own process, with the real endpoint policy: which no test on loopback could pass otherwise. */
const API_KEY = 'ck-main-test-0123456789';
const MAIN = resolve(import.meta.dirname, '../../services/router/src/main.ts');
const stack = new AsyncDisposableStack();
let child: ChildProcess;
let log = '';
let port: number;
let metricsPort: number;
let bus: Awaited<ReturnType<typeof connectBus>>;
let payment: TestPayment;
let knocked: string[];
let victimPort: number;
let exited: Promise<number | null>;
let edgeConfig: string;

const address = newKey().address;
const contracts = Object.fromEntries(
  ['stakeToken', 'paymentToken', 'stakeVault', 'modelRegistry', 'paymentChannels', 'claimManager', 'disputeManager'].map((name) => [
    name,
    address,
  ]),
);

beforeAll(async () => {
  const nats = stack.use(await startNats());
  bus = stack.use(await connectBus({ url: nats.url, name: 'test', logger: memoryLogger() }));
  payment = new TestPayment(newKey().address);
  await payment.serve(bus, 'gateway.main');
  const channelId = payment.openChannel(newKey().address, 1_000_000n);
  payment.consumers.set(sha256(API_KEY), { consumerId: 'c1', channelId });

  knocked = [];
  const victim = createServer((request, response) => {
    knocked.push(request.url ?? '');
    response.end('{}');
  });
  await new Promise<void>((done) => victim.listen(0, done));
  stack.defer(() => void victim.close());
  victimPort = (victim.address() as AddressInfo).port;

  const folder = await mkdtemp(join(tmpdir(), 'cupel-router-'));
  stack.defer(() => rm(folder, { recursive: true }));
  [port, metricsPort] = (await freePorts(2)) as [number, number];
  await writeFile(join(folder, 'user'), 'router\n');
  await writeFile(join(folder, 'password'), 'nats-password-of-the-test\n');
  const names = ['loopback', 'metadata', 'apiserver', 'localhost', 'mapped', 'unspecified', 'service-host'];
  const config = {
    role: 'gateway',
    scope: 'gateway.main',
    listenPort: port,
    metricsPort,
    log: { level: 'debug' },
    nats: { url: nats.url, userFile: join(folder, 'user'), passwordFile: join(folder, 'password') },
    market: { chainId: 31337, rpc: [{ name: 'a', url: 'http://127.0.0.1:1' }], contracts },
    gateway: {
      models: Object.fromEntries(names.map((name) => [name, { manifestSha256: sha256(name), kind: 'chat' }])),
      endpointPolicy: { allowedCIDRs: ['10.0.0.0/8'], deniedAddresses: ['10.96.0.1'] },
    },
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  const { gateway: _gateway, ...shared } = config;
  edgeConfig = join(folder, 'edge.json');
  await writeFile(
    edgeConfig,
    JSON.stringify({
      ...shared,
      role: 'edge',
      scope: 'edge.ns.main',
      edge: { namespace: 'ns', name: 'main' },
      listenPort: 0,
      metricsPort: 0,
    }),
  );
  child = spawn(process.execPath, [MAIN], {
    env: { ...process.env, CUPEL_CONFIG: join(folder, 'config.json'), KUBERNETES_SERVICE_HOST: '10.96.0.77' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout!.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.stderr!.on('data', (chunk: Buffer) => (log += chunk.toString()));
  exited = new Promise((done) => child.once('exit', (code) => done(code)));
}, 120_000);
afterAll(async () => {
  child?.kill('SIGKILL');
  await stack.disposeAsync();
});

const get = async (path: string): Promise<[number, string]> => {
  const response = await fetch(`http://127.0.0.1:${metricsPort}${path}`);
  return [response.status, await response.text()];
};

const publish = async (name: string, endpoint: string): Promise<void> => {
  const entry: RegistryEntry = {
    version: 1,
    modelId: bytes32(),
    owner: address,
    slug: `test/${name}`,
    payout: address,
    versionId: bytes32(),
    versionNumber: 1,
    manifestSha256: sha256(name),
    verificationRoot: `0x${'00'.repeat(32)}`,
    mode: 'Replay',
    arbiter: address,
    prices: { inputPerMillion: baseUnits(1n), outputPerMillion: baseUnits(1n), perRequest: baseUnits(0n) },
    endpoint,
    specializations: [],
    status: 'active',
    faults: 0,
    registeredAtBlock: 1,
  };
  const stake = { staked: 100n, locked: 0n, unbonding: 0n, unbondEnd: 0, bond: 1_000_000n, slashed: 0n } as const;
  await bus.kv('stakes', stakeState).put(kvKey(entry.modelId), { version: 1, modelId: entry.modelId, ...stake });
  await bus.kv('registry', registryEntry).put(kvKey(entry.modelId), entry);
};

test('it is ready only when it has read the registry', async () => {
  const failing = await eventually('it listens', async () => {
    const [status, text] = await get('/readyz');
    return text.includes('registry') && ([status, text] as const);
  });
  expect(failing).toEqual([503, expect.stringContaining('registry: the registry bucket has not been read yet')]);
  for (const bucket of ['registry', 'stakes', 'head', 'reputation']) await bus.ensureKv(bucket);
  await bus
    .kv('head', headState)
    .put('latest', { version: 1, number: 1, hash: bytes32(), timestamp: Math.floor(Date.now() / 1000), seenAtMs: Date.now() });
  await eventually('ready', async () => (await get('/readyz'))[0] === 200);
  expect((await get('/livez'))[0]).toBe(200);
});

test.each([
  ['loopback', () => `http://127.0.0.1:${victimPort}`],
  ['localhost', () => `http://localhost:${victimPort}`],
  ['mapped', () => `http://[::ffff:127.0.0.1]:${victimPort}`],
  ['unspecified', () => `http://0.0.0.0:${victimPort}`],
  ['metadata', () => 'http://169.254.169.254'],
  ['apiserver', () => 'https://10.96.0.1'],
  ['service-host', () => 'https://10.96.0.77'],
])('a provider whose endpoint is %s is not asked', async (name, endpoint) => {
  await publish(name, endpoint());
  const ask = () =>
    fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${API_KEY}` },
      body: JSON.stringify({ model: name, messages: [{ role: 'user', content: 'x' }] }),
    });
  await eventually('the entry is known', async () => ((await ask()).status === 502 ? true : undefined));
  expect(await (await ask()).json()).toMatchObject({
    error: { code: expect.stringMatching(/^(upstream_failed|no_provider)$/), type: 'server_error' },
  });
  expect(knocked).toEqual([]);
});

test("the cluster's API server is never dialled, although its range is allowed and nobody configured its address", () => {
  const lines = log.split('\n').filter((line) => line.includes('https://10.96.0.77'));
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.every((line) => line.includes('a denied address'))).toBe(true);
});

test('the metrics tell why, the log holds no secret', async () => {
  const [, metrics] = await get('/metrics');
  expect(metrics).toMatch(/cupel_router_attempts_total\{role="gateway",outcome="refused_address"\} \d/);
  expect(metrics).toMatch(/cupel_router_requests_total\{role="gateway",kind="chat",reason="upstream_failed"\} \d/);
  expect(log).toContain('serving');
  expect(log).not.toContain(API_KEY);
  expect(log).not.toContain('nats-password-of-the-test');
});

test('SIGTERM: not ready, drained, exit 0', async () => {
  child.kill('SIGTERM');
  expect(await exited).toBe(0);
  expect(log).toContain('draining');
});

test('in the role edge it serves sessions and probes, and stops in order', async () => {
  const edge = spawn(process.execPath, [MAIN], { env: { ...process.env, CUPEL_CONFIG: edgeConfig }, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((done) => edge.once('exit', (code) => done(code)));
  let lines = '';
  edge.stdout.on('data', (chunk: Buffer) => (lines += chunk.toString()));
  try {
    const ports = await eventually('it serves', () => {
      const found = /"port":(\d+),"metricsPort":(\d+)/.exec(lines);
      return found ? { own: Number(found[1]), health: Number(found[2]) } : undefined;
    });
    expect((await fetch(`http://127.0.0.1:${ports.health}/readyz`)).status).toBe(200);
    const session = await fetch(`http://127.0.0.1:${ports.own}/cupel/v1/sessions`, { method: 'POST', body: '{}' });
    expect([session.status, await session.json()]).toEqual([
      400,
      { error: expect.objectContaining({ code: 'invalid_field', param: 'descriptor' }) },
    ]);
    const probe = { version: 1, url: `http://127.0.0.1:${victimPort}`, publicName: 'digits', kind: 'integer', input: '0x01' };
    expect(await bus.call(probeSubject('edge.ns.main'), probe, probeValue)).toMatchObject({
      ok: false,
      refusal: { reason: 'engine_failed' },
    });
    expect(knocked).toEqual(['/v2/models/digits/infer']);
  } finally {
    edge.kill('SIGTERM');
  }
  expect(await ended).toBe(0);
});
