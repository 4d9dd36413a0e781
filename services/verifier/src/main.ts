import { randomBytes } from 'node:crypto';

import { connectBus } from '@cupel/bus/connection';
import { connectChain } from '@cupel/chain/connect';
import { openSqliteJournal } from '@cupel/chain/journal-sqlite';
import { openLane } from '@cupel/chain/lane';
import { marketViews } from '@cupel/chain/views';
import { bytesToHex } from '@cupel/protocol/hex';
import { readSecret } from '@cupel/runtime/config';
import { startHealth } from '@cupel/runtime/health';
import { repeat, runMain } from '@cupel/runtime/lifecycle';
import { createLogger } from '@cupel/runtime/logger';
import { createMetrics } from '@cupel/runtime/metrics';
import { keccak256 } from '@cupel/signing/keccak';
import { recover, signerFromKey } from '@cupel/signing/secp256k1';

import { loadConfig } from './config.ts';
import { consumeReceipts, paymentCalls, reputationBucket, watchDisputes, watchRegistry } from './io/bus.ts';
import { askVersion, chainCourt, epochChain } from './io/chain.ts';
import { chatEngine } from './io/engine.ts';
import { sha256Hex, weightFolder } from './io/files.ts';
import { openState } from './io/state-sqlite.ts';
import { evidenceChecks } from './judge/evidence.ts';
import { createDefence } from './loops/defence.ts';
import { createDisputes } from './loops/disputes.ts';
import { createEpochs } from './loops/epochs.ts';
import { createHolder } from './loops/hold.ts';
import { createJudge } from './loops/judge.ts';
import type { OwnModel } from './loops/ports.ts';
import { createReputations } from './loops/reputation.ts';
import { createVerdicts } from './loops/verdicts.ts';
import { createVersions } from './loops/versions.ts';
import { verifierMetrics } from './metrics.ts';
import { checkWeights, loadIntegerModel } from './replay/manifest.ts';

const KEEP_EVENTS_MS = 30 * 86_400_000;
/** Looks at the own chain and state; a fraction of an epoch, so that short epochs stay short. */
const lookMs = (epochSeconds: number): number => Math.min(1000, Math.max(100, epochSeconds * 100));

await runMain('verifier', async (stack, { clock, stopping, untilSignal }) => {
  const config = loadConfig();
  const { market, scope, role } = config;
  const nowMs = (): number => clock.nowMs();
  const logger = createLogger({ service: role, level: config.log.level });
  const metrics = createMetrics('verifier');
  const meters = verifierMetrics(metrics);

  const models = new Map<string, OwnModel>();
  for (const model of config.models) {
    const folder = model.path === undefined ? undefined : weightFolder(model.path);
    if (model.kind === 'integer') {
      const loaded = await loadIntegerModel(weightFolder(model.path), model.manifestSha256, sha256Hex);
      models.set(model.manifestSha256, { kind: 'integer', loaded });
    } else {
      if (folder) await checkWeights(folder, model.manifestSha256, sha256Hex);
      models.set(model.manifestSha256, { kind: 'chat', engine: stack.use(chatEngine(model.engineUrl)) });
    }
    logger.info({ manifestSha256: model.manifestSha256, kind: model.kind, hashed: folder !== undefined }, 'a model can be replayed');
  }

  const signer = signerFromKey(readSecret(config.keyFile));
  const state = stack.use(openState({ path: config.statePath, chainId: market.chainId, verifier: signer.address }));
  const client = stack.use(connectChain({ rpc: market.rpc, chainId: market.chainId, logger }));
  const views = marketViews(client, market.contracts);
  const bus = stack.use(
    await connectBus({
      url: config.nats.url,
      user: readSecret(config.nats.userFile),
      password: readSecret(config.nats.passwordFile),
      name: `${role} ${scope}`,
      logger,
      signal: stopping,
    }),
  );

  const evidence = evidenceChecks(keccak256, recover, BigInt(market.chainId), market.contracts.modelRegistry);
  const registry = watchRegistry(bus, stack);
  const versions = createVersions({ entry: registry.entry, ask: askVersion(views) });
  const payments = paymentCalls(bus, scope);
  const judge = createJudge({
    payments,
    models,
    evidence: evidence.check,
    keccak: keccak256,
    sequence: (modelId) => state.sequence(modelId),
  });
  const everyMs = lookMs(config.epochSeconds);
  const checks: Record<string, () => string | undefined> = { nats: () => bus.status(), chain: () => client.status() };

  const startVerifier = async (): Promise<void> => {
    const journal = stack.use(openSqliteJournal(`${config.statePath}.transactions`));
    const lane = stack.use(openLane({ client, signer, journal, clock, logger, pollMs: Math.min(everyMs, 250) }));
    checks['lane'] = () => lane.status();
    const court = chainCourt({ client, lane, views, contracts: market.contracts, dataStore: config.dispute.dataStore });
    const disputes = createDisputes({
      state,
      versions,
      models,
      payments,
      court,
      keccak: keccak256,
      enabled: config.dispute.enabled,
      nowMs,
      logger,
      onRuling: meters.ruling,
    });
    const disputing = stack.use(repeat({ name: 'disputes', everyMs, logger, run: disputes.run }));
    const verdicts = createVerdicts({
      state,
      versions,
      models,
      judge,
      disputesEnabled: config.dispute.enabled,
      nowMs,
      logger,
      onVerdict: (kind, { verdict }) => meters.verdict(kind, verdict),
      wake() {
        judging.wake();
        disputing.wake();
      },
    });
    const judging = stack.use(repeat({ name: 'verdicts', everyMs, logger, run: verdicts.run }));
    const epochs = createEpochs({
      state,
      chain: epochChain(client, lane),
      keccak: keccak256,
      epochMs: config.epochSeconds * 1000,
      rate: config.sampleRate,
      beaconDelayBlocks: config.beaconDelayBlocks,
      nowMs,
      randomBytes32: () => bytesToHex(randomBytes(32)),
      logger,
      onDrawn(epoch, receipts, drawn) {
        meters.drawn(drawn);
        logger.info({ epoch, receipts, drawn }, 'a sample was drawn');
        judging.wake();
      },
      wake: () => drawing.wake(),
    });
    const drawing = stack.use(repeat({ name: 'epochs', everyMs, logger, run: epochs.run, maxBackoffMs: 10_000 }));
    const unarbitrated = (modelId: `0x${string}`): boolean | undefined => {
      const arbiter = registry.entry(modelId)?.arbiter;
      return arbiter === undefined ? undefined : /^0x0*$/.test(arbiter);
    };
    const reputations = createReputations({ state, bucket: reputationBucket(bus), unarbitrated });
    stack.use(repeat({ name: 'reputation', everyMs: 1000, logger, run: reputations.run }));
    const hold = createHolder({
      state,
      digestOf: evidence.digestOf,
      nowMs,
      logger,
      onOdd: meters.odd,
      onHeld(event) {
        meters.held();
        disputes.prepare(event);
      },
    });
    stack.use(await consumeReceipts(bus, scope, 'verifier', hold));
  };

  const startDefender = async (): Promise<void> => {
    const defence = createDefence({ state, versions, judge, nowMs, logger, onFinding: meters.finding });
    watchDisputes(bus, stack, defence.disputeChanged);
    stack.use(repeat({ name: 'defence', everyMs: 1000, logger, run: defence.run }));
    const hold = createHolder({ state, digestOf: evidence.digestOf, nowMs, logger, onOdd: meters.odd, onHeld: meters.held });
    stack.use(await consumeReceipts(bus, scope, 'defender', hold));
  };

  await (role === 'verifier' ? startVerifier() : startDefender());
  stack.use(repeat({ name: 'sweep', everyMs: 3_600_000, logger, run: async () => void state.forgetBefore(nowMs() - KEEP_EVENTS_MS) }));
  stack.use(
    repeat({
      name: 'backlog',
      everyMs: 1000,
      logger,
      run: async () => meters.backlog(state.waiting().receipts, state.pendingVerdicts(500).length, state.dueDisputes().length),
    }),
  );
  const health = stack.use(await startHealth({ port: config.metricsPort, metrics, checks }));
  health.setReady(true);
  logger.info({ role, scope, address: signer.address, models: models.size, metricsPort: health.port }, `${role} is ready`);
  const signal = await untilSignal();
  health.setReady(false);
  logger.info({ signal }, 'stopping');
});
