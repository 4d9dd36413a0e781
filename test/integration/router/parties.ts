import { setTimeout as delay } from 'node:timers/promises';

import type { Bus } from '@cupel/bus/bus';
import { digester, RECEIPT, SIGNER_GRANT } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import type { WantedModel } from '@cupel/router/choose/candidates';
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
import { createMetrics } from '@cupel/runtime/metrics';
import { keccak256 } from '@cupel/signing/keccak';
import { recover } from '@cupel/signing/secp256k1';
import { memoryLogger } from '@cupel/testing/logger';

/** Both roles as main.ts puts them together, less the endpoint policy: everything here lives on loopback, which the product never dials. */
const clock = { nowMs: () => Date.now() };
const FLOW = {
  answerBytes: 2_097_152,
  concurrency: { perTenant: 256, total: 1024 },
  headersTimeoutMs: 30_000,
  idleTimeoutMs: 30_000,
};
const newId = (): string => `req_${randomBytes32().slice(2, 34)}`;
const common = { clock, keccak: keccak256, hmac, sleep: (ms: number) => delay(ms) };

export const openEdge = async (
  stack: AsyncDisposableStack,
  bus: Bus,
  scope: string,
  name: { readonly namespace: string; readonly name: string },
): Promise<Http> => {
  const logger = memoryLogger();
  const payments = busPayments(bus, scope, `${scope}.1`);
  const leases = leaseBook(payments, clock, logger);
  stack.defer(() => leases.releaseAll());
  const upstream = stack.use(new UndiciUpstream({ connectTimeoutMs: 2000 }));
  const engines = watchEngines(bus, name, stack);
  const observer = createObserver(createMetrics('router'), 'edge');
  const edge = new Edge({ ...common, logger, payments, observer, upstream, engines, seed: randomSeed, equalBytes }, leases, {
    ...FLOW,
    arriving: { perTenant: 256, total: 1024 },
  });
  await serveProbe(bus, scope, (request) => probe({ upstream, clock }, request), logger, stack);
  return stack.use(await startHttp({ port: 0, bodyBytes: 1_048_576, silenceMs: 60_000, routes: edgeRoutes(edge), newId, logger }));
};

export const openGateway = async (
  stack: AsyncDisposableStack,
  bus: Bus,
  scope: string,
  options: {
    readonly domain: { readonly chainId: bigint; readonly modelRegistry: Hex };
    readonly models: Readonly<Record<string, WantedModel>>;
  },
): Promise<Http> => {
  const logger = memoryLogger();
  const payments = busPayments(bus, scope, `${scope}.1`);
  const leases = leaseBook(payments, clock, logger);
  stack.defer(() => leases.releaseAll());
  const domain = { name: 'ModelRegistry', chainId: options.domain.chainId, verifyingContract: options.domain.modelRegistry } as const;
  const observer = createObserver(createMetrics('router'), 'gateway');
  const gateway = new Gateway(
    {
      ...common,
      logger,
      payments,
      observer,
      market: watchMarket(bus, stack),
      sha256Hex,
      refuseEndpoint: () => undefined,
      upstream: stack.use(new UndiciUpstream({ connectTimeoutMs: 2000 })),
      health: stack.use(new Breakers({ volume: 5, failurePercent: 50, windowMs: 10_000, resetMs: 1000, onState: observer.breaker })),
      random: { bytes32: randomBytes32, unit: Math.random },
      receiptCheck: {
        keccak: keccak256,
        recover,
        receiptDigest: digester(keccak256, RECEIPT, domain),
        grantOwner: grantOwners(digester(keccak256, SIGNER_GRANT, domain), recover),
      },
    },
    leases,
    { ...FLOW, maxPriceMicro: undefined, leastStake: { stake: 1n, bond: 1n }, models: options.models },
  );
  return stack.use(await startHttp({ port: 0, bodyBytes: 1_048_576, silenceMs: 60_000, routes: gatewayRoutes(gateway), newId, logger }));
};
