import { setTimeout as delay } from 'node:timers/promises';

import { connectBus } from '@cupel/bus/connection';
import { digester, RECEIPT, SIGNER_GRANT } from '@cupel/protocol/eip712';
import { readConfig, readSecret } from '@cupel/runtime/config';
import { startHealth } from '@cupel/runtime/health';
import { repeat, runMain } from '@cupel/runtime/lifecycle';
import { createLogger } from '@cupel/runtime/logger';
import { createMetrics } from '@cupel/runtime/metrics';
import { keccak256 } from '@cupel/signing/keccak';
import { recover } from '@cupel/signing/secp256k1';

import { apiServerHost, configPath, routerConfig } from './config.ts';
import { endpointPolicy } from './choose/endpoint-policy.ts';
import { Edge } from './edge/edge.ts';
import { probe } from './edge/probe.ts';
import { Gateway } from './gateway/gateway.ts';
import { Breakers } from './io/breakers.ts';
import { busPayments, serveProbe, watchEngines, watchMarket } from './io/bus.ts';
import { equalBytes, hmac, randomBytes32, randomSeed, sha256Hex } from './io/crypto.ts';
import { addressesOf, guardedConnector } from './io/dial.ts';
import { startHttp } from './io/http.ts';
import { UndiciUpstream } from './io/upstream.ts';
import { leaseBook } from './lease-book.ts';
import { grantOwners } from './meter/grants.ts';
import { createObserver } from './metrics.ts';
import { edgeRoutes, gatewayRoutes } from './routes.ts';

const CONNECT_TIMEOUT_MS = 5_000;

await runMain('router', async (stack, { clock, stopping, untilSignal }) => {
  const config = readConfig(configPath(), routerConfig);
  const logger = createLogger({ service: 'router', level: config.log.level });
  const metrics = createMetrics('router');
  const observer = createObserver(metrics, config.role);
  const checks: Record<string, () => string | undefined> = { bus: () => 'not connected to NATS yet' };
  const health = stack.use(await startHealth({ port: config.metricsPort, metrics, checks }));
  const user = readSecret(config.nats.userFile);
  const bus = stack.use(
    await connectBus({
      url: config.nats.url,
      user,
      password: readSecret(config.nats.passwordFile),
      name: `router ${config.scope}`,
      logger,
      signal: stopping,
    }),
  );
  checks['bus'] = () => bus.status();
  const payments = busPayments(bus, config.scope, `${config.scope}.${randomBytes32().slice(2, 14)}`);
  const leases = leaseBook(payments, clock, logger);
  stack.defer(() => leases.releaseAll());
  stack.use(repeat({ name: 'leases', everyMs: 5_000, run: () => leases.sweep(), logger }));

  const { limits } = config;
  const flow = {
    answerBytes: limits.answerBytes,
    concurrency: { perTenant: limits.concurrentPerCredential, total: limits.concurrent },
    headersTimeoutMs: limits.firstByteSeconds * 1000,
    idleTimeoutMs: limits.idleSeconds * 1000,
  };
  const common = { payments, observer, clock, logger, keccak: keccak256, hmac, sleep: (ms: number) => delay(ms) };
  let routes;
  if (config.role === 'gateway') {
    const { allowedCIDRs, deniedAddresses } = config.gateway!.endpointPolicy;
    const apiServer = apiServerHost();
    const policy = endpointPolicy({
      allowedCIDRs,
      deniedAddresses: [...deniedAddresses, ...(apiServer === undefined ? [] : await addressesOf(apiServer))],
    });
    const domain = {
      name: 'ModelRegistry',
      chainId: BigInt(config.market.chainId),
      verifyingContract: config.market.contracts.modelRegistry,
    } as const;
    const market = watchMarket(bus, stack);
    let known = false;
    checks['registry'] = () => (known ? undefined : 'the registry bucket has not been read yet; is the watcher running?');
    void market.ready.then(() => (known = true));
    const gateway = new Gateway(
      {
        ...common,
        market,
        sha256Hex,
        refuseEndpoint: (url) => policy.refuseUrl(url),
        upstream: stack.use(
          new UndiciUpstream({ connect: guardedConnector(policy, CONNECT_TIMEOUT_MS), connectTimeoutMs: CONNECT_TIMEOUT_MS }),
        ),
        health: stack.use(new Breakers({ volume: 5, failurePercent: 50, windowMs: 30_000, resetMs: 10_000, onState: observer.breaker })),
        random: { bytes32: randomBytes32, unit: Math.random },
        receiptCheck: {
          keccak: keccak256,
          recover,
          receiptDigest: digester(keccak256, RECEIPT, domain),
          grantOwner: grantOwners(digester(keccak256, SIGNER_GRANT, domain), recover),
        },
      },
      leases,
      {
        ...flow,
        models: config.gateway!.models,
        maxPriceMicro: config.gateway!.maxPriceMicro,
        leastStake: { stake: config.gateway!.minStake ?? 0n, bond: config.gateway!.minBond ?? 0n },
      },
    );
    routes = gatewayRoutes(gateway);
  } else {
    const upstream = stack.use(new UndiciUpstream({ connectTimeoutMs: CONNECT_TIMEOUT_MS }));
    const engines = watchEngines(bus, config.edge!, stack);
    const edge = new Edge({ ...common, upstream, engines, seed: randomSeed, equalBytes }, leases, {
      ...flow,
      arriving: { perTenant: limits.arrivingPerAddress, total: limits.concurrent },
    });
    await serveProbe(bus, config.scope, (request) => probe({ upstream, clock }, request), logger, stack);
    routes = edgeRoutes(edge);
  }

  const http = stack.use(
    await startHttp({
      port: config.listenPort,
      bodyBytes: limits.bodyBytes,
      // Longer than any wait of ours for an answer.
      silenceMs: (Math.max(limits.firstByteSeconds, limits.idleSeconds) + 60) * 1000,
      routes,
      newId: () => `req_${randomBytes32().slice(2, 34)}`,
      logger,
    }),
  );
  health.setReady(true);
  logger.info({ role: config.role, scope: config.scope, port: http.port, metricsPort: health.port }, 'serving');

  const signal = await untilSignal();
  health.setReady(false);
  logger.info({ signal }, 'draining');
  await Promise.race([http.drain(), delay(limits.drainSeconds * 1000, undefined, { ref: false })]);
});
