import { createHash } from 'node:crypto';

import type { Bus } from '@cupel/bus/bus';
import { connectBus } from '@cupel/bus/connection';
import { createApplier } from '@cupel/kube/applier';
import { createClient } from '@cupel/kube/client';
import { createRecorder } from '@cupel/kube/events';
import { createLease } from '@cupel/kube/lease';
import { createManager } from '@cupel/kube/manager';
import { loadKubeConfig } from '@cupel/kube/credentials';
import { createTransport } from '@cupel/kube/transport';
import { modelIdOf } from '@cupel/protocol/ids';
import { readSecret } from '@cupel/runtime/config';
import { startHealth } from '@cupel/runtime/health';
import { repeat, runMain } from '@cupel/runtime/lifecycle';
import { createLogger } from '@cupel/runtime/logger';
import { createMetrics } from '@cupel/runtime/metrics';
import { keccak256 } from '@cupel/signing/keccak';

import { readOperatorConfig } from './config.ts';
import { addControllers } from './io/controllers.ts';
import type { Controllers } from './io/controllers.ts';
import { createAccess } from './io/access.ts';
import { createChainPort, createConnections } from './io/chain.ts';
import { createClaims } from './io/claims.ts';
import { createCluster } from './io/cluster.ts';
import { createEngines } from './io/engines.ts';
import { createInformers } from './io/informers.ts';
import { createKeys } from './io/keys.ts';
import { kubeMetrics, laneMetrics, readyGauge } from './io/metrics.ts';
import { createLanes } from './io/lanes.ts';
import { lookAtChain } from './io/market.ts';
import { createProbes } from './io/probes.ts';
import { watchProjections } from './io/projections.ts';
import { appearing, existingNamespaces } from './io/watched-namespaces.ts';

/** How often streams and lists of the edges are looked after. */
const BUS_EVERY_MS = 5000;

await runMain('operator', async (stack, { clock, stopping, untilSignal }) => {
  const config = readOperatorConfig();
  const logger = createLogger({ service: 'operator', level: config.log.level });
  const metrics = createMetrics('operator');
  const kube = { log: logger, metrics: kubeMetrics(metrics) };

  const kubeConfig = loadKubeConfig(config.kubeconfigFile === undefined ? {} : { path: config.kubeconfigFile });
  const transport = createTransport({ config: kubeConfig, metrics: kube.metrics });
  const leaseTransport = createTransport({ config: kubeConfig, connections: 1 });
  stack.defer(() => Promise.all([transport.close(), leaseTransport.close()]).then(() => undefined));
  const client = createClient({ transport, fieldManager: 'cupel-operator' });
  const leaseClient = createClient({ transport: leaseTransport, fieldManager: 'cupel-operator' });
  const lease = createLease({
    client: leaseClient,
    namespace: config.leaseNamespace,
    name: 'cupel-operator',
    identity: config.podName,
    ...kube,
  });
  const manager = createManager({ client, lease, ...kube });
  const leads = (): boolean => lease.held();

  // What is opened later, but asked for by what comes first.
  const late: { bus?: Bus; controllers?: Controllers } = {};
  const health = stack.use(
    await startHealth({
      port: config.metricsPort,
      metrics,
      checks: {
        bus: () => (late.bus === undefined ? 'not connected to NATS yet' : late.bus.status()),
        cluster: () =>
          manager
            .checks()
            .map((check) => check.failure())
            .find((failure) => failure !== undefined),
      },
    }),
  );
  const user = readSecret(config.nats.userFile);
  const password = readSecret(config.nats.passwordFile);
  const bus = stack.use(await connectBus({ url: config.nats.url, user, password, name: 'operator', logger, signal: stopping }));
  late.bus = bus;

  const keys = createKeys(client);
  const connections = createConnections(keys, logger);
  const lanes = stack.use(createLanes({ clock, logger, leads, observer: laneMetrics(metrics) }));
  const watched = await existingNamespaces(client, config.watchNamespaces, logger, stopping);
  const informers = createInformers(manager, watched);
  const applier = createApplier({ client: manager.client, annotation: 'cupel.dev/applied', ...kube });
  const recorder = createRecorder({ client: manager.client, controller: 'cupel.dev/operator', instance: config.podName, ...kube });
  const cluster = createCluster({
    client: manager.client,
    informers,
    applier,
    recorder,
    keys,
    access: createAccess(manager.client, config.accessRole),
    ready: readyGauge(metrics),
  });

  const { maxAgeSeconds, maxBytes } = config.receiptStreams;
  const receipts = { maxAgeMs: maxAgeSeconds * 1000, maxBytes };
  const engines = stack.use(
    await createEngines(bus, logger, receipts, (namespace, edge) => late.controllers?.edgeChanged(namespace, edge)),
  );
  late.controllers = addControllers(manager, informers, cluster, {
    modelProvider: {
      nowMs: clock.nowMs,
      modelId: (owner, slug) => modelIdOf(keccak256, owner, slug),
      cluster,
      chain: createChainPort(connections, lanes, keys),
      engines,
      probes: createProbes(bus, clock),
    },
    market: { nowMs: clock.nowMs, market: cluster.market, look: lookAtChain(connections, lanes) },
    settings: {
      images: { engines: config.engineImages, verify: config.verifyImage },
      drainMs: config.drainSeconds * 1000,
      digest: (text) => createHash('sha256').update(text).digest('hex').slice(0, 16),
    },
  });
  stack.use(watchProjections(bus, (modelId) => late.controllers?.modelChanged(modelId)));

  const claims = createClaims({ bus, informers, connections, lanes, keys, leads, logger });
  await manager.start();
  stack.defer(() => manager.stop());
  // Before the lease is given back: without it nothing is written.
  stack.defer(() => recorder.flush());
  stack.use(await claims.serve());
  stack.use(repeat({ name: 'finalize claims', everyMs: config.claimsEverySeconds * 1000, run: () => claims.finalizeDue(), logger }));
  stack.use(
    repeat({
      name: 'edges on the bus',
      everyMs: BUS_EVERY_MS,
      logger,
      run: async () => {
        if (leads()) await engines.repair();
      },
    }),
  );
  health.setReady(true);
  logger.info({ namespaces: watched, port: health.port }, 'running');
  const missing = config.watchNamespaces.filter((name) => !watched.includes(name));
  const why = await Promise.race([untilSignal(), appearing(client, missing, stopping)]);
  health.setReady(false);
  logger.info({ why }, 'stopping');
});
