import { setTimeout as delay } from 'node:timers/promises';

import type { Bus } from '@cupel/bus/bus';
import { digester, RECEIPT, SIGNER_GRANT } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import { modelIdOf, versionIdOf } from '@cupel/protocol/ids';
import { baseUnits } from '@cupel/protocol/money';
import { engineList } from '@cupel/protocol/wire/bus';
import type { Engine } from '@cupel/protocol/wire/bus';
import { headState, registryEntry, reputation, stakeState } from '@cupel/protocol/wire/projections';
import type { RegistryEntry, StakeState } from '@cupel/protocol/wire/projections';
import { enginesKey, kvKey } from '@cupel/protocol/wire/subjects';
import { Edge } from '@cupel/router/edge/edge';
import { probe } from '@cupel/router/edge/probe';
import { Gateway } from '@cupel/router/gateway/gateway';
import { Breakers } from '@cupel/router/io/breakers';
import { busPayments, serveProbe, watchEngines, watchMarket } from '@cupel/router/io/bus';
import { equalBytes, hmac, randomBytes32, randomSeed, sha256Hex } from '@cupel/router/io/crypto';
import { startHttp } from '@cupel/router/io/http';
import type { Http } from '@cupel/router/io/http';
import { UndiciUpstream } from '@cupel/router/io/upstream';
import { leaseBook } from '@cupel/router/lease-book';
import { grantOwners } from '@cupel/router/meter/grants';
import { createObserver } from '@cupel/router/metrics';
import { edgeRoutes, gatewayRoutes } from '@cupel/router/routes';
import type { Routes } from '@cupel/router/routes';
import { createMetrics } from '@cupel/runtime/metrics';
import type { Metrics } from '@cupel/runtime/metrics';
import { keccak256 } from '@cupel/signing/keccak';
import { recover } from '@cupel/signing/secp256k1';
import { memoryLogger } from '@cupel/testing/logger';
import { eventually } from '@cupel/testing/wait';

import { startTcpProxy } from '../tcp-proxy.ts';
import type { TcpProxy } from '../tcp-proxy.ts';
import { newKey, REGISTRY_DOMAIN, sha256, TestPayment } from './test-payment.ts';

export const CHAT = 'a'.repeat(64);
export const DIGITS = 'd'.repeat(64);
export const ROOT: Hex = `0x${'12'.repeat(32)}`;
const NO_ROOT: Hex = `0x${'00'.repeat(32)}`;
export const API_KEY = 'ck-test-0123456789';
const clock = { nowMs: () => Date.now() };
const FLOW = { answerBytes: 2_097_152, concurrency: { perTenant: 256, total: 1024 }, headersTimeoutMs: 5_000, idleTimeoutMs: 5_000 };

const STAKED = { version: 1, staked: 100n, locked: 0n, unbonding: 0n, unbondEnd: 0, bond: 1_000_000n, slashed: 0n } as const;

export interface Provider {
  readonly name: string;
  readonly payment: TestPayment;
  readonly http: Http;
  readonly entries: RegistryEntry[];
  readonly edge: Edge;
  readonly proxy: TcpProxy;
  /** Every request that reached the edge. */
  readonly seen: { readonly headers: Record<string, string>; body: string }[];
  /** As a new process would begin: without sessions. */
  restartEdge(): void;
  /** The operator marks every engine as draining. */
  drain(): Promise<void>;
  publish(change?: Partial<RegistryEntry>): Promise<void>;
  /** Of all its models. */
  stake(change?: Partial<StakeState>): Promise<void>;
}

export interface World extends AsyncDisposable {
  readonly payment: TestPayment;
  readonly gateway: Gateway;
  readonly http: Http;
  readonly baseUrl: string;
  readonly metrics: Metrics;
  readonly logger: ReturnType<typeof memoryLogger>;
  readonly bus: Bus;
  readonly channelId: Hex;
  addProvider(name: string, engine: { readonly url: string }, price?: bigint): Promise<Provider>;
}

/** A gateway and as many edges as a test wants, on one bus (the parties would have one each; their subjects do not meet). */
export const openWorld = async (
  bus: Bus,
  options: { /** Gateway and edge meet without a proxy that can break. */ readonly direct?: boolean } = {},
): Promise<World> => {
  const stack = new AsyncDisposableStack();
  const logger = memoryLogger();
  const metrics = createMetrics('router');
  for (const bucket of ['registry', 'stakes', 'head', 'reputation', 'engines']) await bus.ensureKv(bucket);
  const nowSeconds = Math.floor(Date.now() / 1000);
  await bus.kv('head', headState).put('latest', { version: 1, number: 10, hash: NO_ROOT, timestamp: nowSeconds, seenAtMs: Date.now() });
  const observer = createObserver(metrics, 'gateway');

  const gatewayPayment = new TestPayment(newKey().address);
  await gatewayPayment.serve(bus, 'gateway.test');
  const channelId = gatewayPayment.openChannel(newKey().address, 1_000_000n);
  gatewayPayment.consumers.set(sha256(API_KEY), { consumerId: 'c1', channelId });

  const common = { clock, logger, keccak: keccak256, hmac, sleep: (ms: number) => delay(ms) };
  const payments = busPayments(bus, 'gateway.test', 'router-1');
  const leases = leaseBook(payments, clock, logger);
  stack.defer(() => leases.releaseAll());
  const market = watchMarket(bus, stack);
  await market.ready;
  const gateway = new Gateway(
    {
      ...common,
      payments,
      observer,
      market,
      sha256Hex,
      refuseEndpoint: () => undefined,
      upstream: stack.use(new UndiciUpstream({ connectTimeoutMs: 2000 })),
      health: stack.use(new Breakers({ volume: 3, failurePercent: 50, windowMs: 10_000, resetMs: 500, onState: observer.breaker })),
      random: { bytes32: randomBytes32, unit: Math.random },
      receiptCheck: {
        keccak: keccak256,
        recover,
        receiptDigest: digester(keccak256, RECEIPT, REGISTRY_DOMAIN),
        grantOwner: grantOwners(digester(keccak256, SIGNER_GRANT, REGISTRY_DOMAIN), recover),
      },
    },
    leases,
    {
      ...FLOW,
      maxPriceMicro: undefined,
      leastStake: { stake: 0n, bond: 0n },
      models: {
        assistant: { manifestSha256: CHAT, kind: 'chat' },
        digits: { manifestSha256: DIGITS, kind: 'integer', verificationRoot: ROOT },
      },
    },
  );
  const http = stack.use(
    await startHttp({
      port: 0,
      bodyBytes: 1_048_576,
      silenceMs: 60_000,
      routes: gatewayRoutes(gateway),
      newId: () => `req_${randomBytes32().slice(2, 34)}`,
      logger,
    }),
  );

  const addProvider = async (name: string, engine: { readonly url: string }, price = 2n): Promise<Provider> => {
    const owner = newKey();
    const payment = new TestPayment(newKey().address);
    await payment.serve(bus, `edge.test.${name}`);
    const edgePayments = busPayments(bus, `edge.test.${name}`, `edge-${name}`);
    const edgeLeases = leaseBook(edgePayments, clock, logger);
    stack.defer(() => edgeLeases.releaseAll());
    const upstream = stack.use(new UndiciUpstream({ connectTimeoutMs: 2000 }));
    const engines = watchEngines(bus, { namespace: 'test', name }, stack);
    const newEdge = (): Edge =>
      new Edge(
        {
          ...common,
          payments: edgePayments,
          observer: createObserver(createMetrics('router'), 'edge'),
          upstream,
          engines,
          seed: randomSeed,
          equalBytes,
        },
        edgeLeases,
        { ...FLOW, arriving: { perTenant: 128, total: 1024 } },
      );
    let edge = newEdge();
    const seen: Provider['seen'] = [];
    const routes: Routes = (method, path, exchange) => {
      const entry = { headers: exchange.headers as Record<string, string>, body: '' };
      if (path !== '/cupel/v1/sessions') seen.push(entry);
      const body = async (): ReturnType<typeof exchange.body> => {
        const bytes = await exchange.body();
        if (bytes instanceof Uint8Array) entry.body = Buffer.from(bytes).toString();
        return bytes;
      };
      return edgeRoutes(edge)(method, path, { ...exchange, body });
    };
    await serveProbe(bus, `edge.test.${name}`, (request) => probe({ upstream, clock }, request), logger, stack);
    const edgeHttp = stack.use(await startHttp({ port: 0, bodyBytes: 1_048_576, silenceMs: 60_000, routes, newId: () => 'edge', logger }));
    const proxy = stack.use(await startTcpProxy({ host: '127.0.0.1', port: edgeHttp.port }));
    const entries = (['chat', 'integer'] as const).map((kind): RegistryEntry => {
      const modelId = modelIdOf(keccak256, owner.address, `test/${kind}`);
      const versionId = versionIdOf(keccak256, modelId, 1);
      payment.grant(versionId, owner);
      return {
        version: 1,
        modelId,
        owner: owner.address,
        slug: `test/${kind}`,
        payout: payment.payee,
        versionId,
        versionNumber: 1,
        manifestSha256: kind === 'chat' ? CHAT : DIGITS,
        verificationRoot: kind === 'chat' ? NO_ROOT : ROOT,
        mode: kind === 'chat' ? 'Replay' : 'IntegerExecution',
        arbiter: owner.address,
        prices: {
          inputPerMillion: baseUnits(price),
          outputPerMillion: baseUnits(price * 2n),
          perRequest: baseUnits(kind === 'chat' ? 0n : price * 10n),
        },
        endpoint: `http://127.0.0.1:${options.direct ? edgeHttp.port : proxy.port}`,
        specializations: [],
        status: 'active',
        faults: 0,
        registeredAtBlock: 3,
      };
    });
    const list: Engine[] = entries.map((e) => ({
      modelId: e.modelId,
      versionId: e.versionId,
      publicName: e.mode === 'Replay' ? 'assistant' : 'digits',
      kind: e.mode === 'Replay' ? 'chat' : 'integer',
      url: engine.url,
      mode: e.mode,
      prices: e.prices,
      manifestSha256: e.manifestSha256,
      verificationRoot: e.verificationRoot,
      draining: false,
    }));
    await bus.kv('engines', engineList).put(enginesKey('test', name), { version: 1, engines: list });
    await eventually('the edge knows its engines', () => engines().length === 2);
    const publish = async (change: Partial<RegistryEntry> = {}): Promise<void> => {
      for (const entry of entries) {
        const wanted = { ...entry, ...change };
        await bus.kv('registry', registryEntry).put(kvKey(entry.modelId), wanted);
        await eventually('the gateway has seen the entry', () =>
          [...market.registry()].some((e) => e.modelId === entry.modelId && e.status === wanted.status && e.endpoint === wanted.endpoint),
        );
      }
    };
    const stake = async (change: Partial<StakeState> = {}): Promise<void> => {
      for (const { modelId } of entries) {
        const wanted = { ...STAKED, modelId, ...change };
        await bus.kv('stakes', stakeState).put(kvKey(modelId), wanted);
        await eventually('the gateway has seen the stake', () => {
          const seenStake = market.stake(modelId);
          return seenStake?.staked === wanted.staked && seenStake.bond === wanted.bond && seenStake.unbondEnd === wanted.unbondEnd;
        });
      }
    };
    await stake();
    await publish();
    return {
      name,
      payment,
      http: edgeHttp,
      entries,
      proxy,
      seen,
      get edge() {
        return edge;
      },
      restartEdge: () => {
        edge = newEdge();
      },
      async drain() {
        const draining = list.map((e) => ({ ...e, draining: true }));
        await bus.kv('engines', engineList).put(enginesKey('test', name), { version: 1, engines: draining });
        await eventually('the edge knows', () => engines().every((e) => e.draining));
      },
      publish,
      stake,
    };
  };

  return {
    payment: gatewayPayment,
    gateway,
    http,
    baseUrl: `http://127.0.0.1:${http.port}`,
    metrics,
    logger,
    bus,
    channelId,
    addProvider,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
};

export const setReputation = (bus: Bus, modelId: Hex, score: number): Promise<number> =>
  bus
    .kv('reputation', reputation)
    .put(kvKey(modelId), { version: 1, modelId, checked: 1, passed: 1, lies: 0, suspect: 0, score, unarbitrated: false });
