import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { connectBus } from '@cupel/bus/connection';
import { connectChain } from '@cupel/chain/connect';
import { openSqliteJournal } from '@cupel/chain/journal-sqlite';
import { openLane } from '@cupel/chain/lane';
import type { Lane } from '@cupel/chain/lane';
import { bytesToHex } from '@cupel/protocol/hex';
import type { Logger } from '@cupel/protocol/log';
import { baseUnits } from '@cupel/protocol/money';
import type { DisputeState } from '@cupel/protocol/wire/projections';
import { readSecret } from '@cupel/runtime/config';
import { startHealth } from '@cupel/runtime/health';
import { repeat, runMain } from '@cupel/runtime/lifecycle';
import { createLogger } from '@cupel/runtime/logger';
import { createMetrics } from '@cupel/runtime/metrics';
import { keccak256 } from '@cupel/signing/keccak';
import { recover, signerFromKey } from '@cupel/signing/secp256k1';
import type { Signer } from '@cupel/signing/secp256k1';

import { incomingCalls } from './calls/incoming.ts';
import { edgeCalls } from './calls/edge.ts';
import { gatewayCalls } from './calls/gateway.ts';
import { loadConfig } from './config.ts';
import { createFacts, ownChannels } from './facts.ts';
import { claimPoster, receiptStream, servePayment, watchFacts } from './io/bus.ts';
import { depositChain, exitChain, redeemChain } from './io/chain.ts';
import { aesCipher } from './io/cipher.ts';
import { grantsOf } from './io/grants.ts';
import { listen, managementApi } from './io/http.ts';
import { openLedger } from './io/ledger-sqlite.ts';
import { observeChannel } from './ledger/channel.ts';
import { observeOutgoing } from './ledger/outgoing.ts';
import { createClaims } from './loops/claims.ts';
import { createExits } from './loops/exits.ts';
import { createHousekeeping } from './loops/housekeeping.ts';
import { drainOutbox } from './loops/outbox.ts';
import { createProviders } from './loops/providers.ts';
import { createRedeemer } from './loops/redeem.ts';
import { createManagement } from './management.ts';
import { paymentMetrics } from './metrics.ts';
import { receiptChecks } from './voucher/receipt.ts';
import { voucherChecks } from './voucher/verify.ts';

/** The head of the chain is stale after this long without a sign of life. */
const STALE_AFTER_MS = 15_000;
const PROVIDER_WAIT_MS = 60_000;
const REDEEM_ROWS = 50;
/** How long the first answers wait for the watcher's buckets; a party without them serves what its ledger knows. */
const FACTS_WAIT_MS = 5_000;

const randomId = (): string => randomBytes(16).toString('hex');
const randomBytes32 = () => bytesToHex(randomBytes(32));
const newApiKey = () => {
  const apiKey = `ck-${randomBytes(32).toString('base64url')}`;
  return { apiKey, sha256: createHash('sha256').update(apiKey).digest('hex') };
};

await runMain('payment', async (stack, { clock, stopping, untilSignal }) => {
  const config = loadConfig();
  const { market, scope } = config;
  const nowMs = (): number => clock.nowMs();
  const logger = createLogger({ service: 'payment', level: config.log.level });
  const metrics = createMetrics('payment');
  const meters = paymentMetrics(metrics);
  const adminToken = readSecret(config.adminTokenFile);
  const cipher = aesCipher(readSecret(config.payloadKeyFile));
  const ledger = stack.use(
    openLedger({
      path: config.ledgerPath,
      nowMs: nowMs(),
      onCommit: meters.committed,
      // Memory may be ahead of the disk: only a new start from the disk is safe.
      onFatal: (error) =>
        setImmediate(() => {
          throw error;
        }),
    }),
  );

  const keccak = keccak256;
  const chainId = BigInt(market.chainId);
  const checks = voucherChecks(keccak, recover, chainId, market.contracts.paymentChannels);
  const receipts = receiptChecks(keccak, recover, chainId, market.contracts);
  const terms = { payee: config.payee, token: market.contracts.paymentToken, minWithdrawDelay: config.minWithdrawDelaySeconds };

  const chain = stack.use(connectChain({ rpc: market.rpc, chainId: market.chainId, logger }));
  const journal = stack.use(openSqliteJournal(`${config.ledgerPath}.transactions`));
  const lanes = new Map<string, Lane>();
  const laneOf = (signer: Signer): Lane => {
    const lane = lanes.get(signer.address) ?? stack.use(openLane({ client: chain, signer, journal, clock, logger }));
    lanes.set(signer.address, lane);
    return lane;
  };

  const payer = config.role === 'gateway' ? signerFromKey(readSecret(config.gateway.payerKeyFile)) : undefined;
  const facts = createFacts({
    nowMs,
    staleAfterMs: STALE_AFTER_MS,
    rememberedDeposit: (channelId) => (ledger.view.channel(channelId) ?? ledger.view.outgoing(channelId))?.deposit,
    isOurs: ownChannels({
      payee: config.payee,
      token: market.contracts.paymentToken,
      payer: payer?.address,
      isKnown: (channelId) => (ledger.view.channel(channelId) ?? ledger.view.outgoing(channelId)) !== undefined,
    }),
    onChannel(channelId, state) {
      if (ledger.view.channel(channelId))
        logged(
          logger,
          ledger.submit((view) => observeChannel(view, { channelId, facts: state })),
        );
      if (ledger.view.outgoing(channelId))
        logged(
          logger,
          ledger.submit((view) => observeOutgoing(view, { channelId, facts: state })),
        );
    },
    onUpheld: (dispute) => logged(logger, credit(dispute)),
  });

  const bus = stack.use(
    await connectBus({
      url: config.nats.url,
      user: readSecret(config.nats.userFile),
      password: readSecret(config.nats.passwordFile),
      name: `payment ${scope}`,
      logger,
      signal: stopping,
    }),
  );
  const stream = receiptStream(bus, scope, config.payloadTtlSeconds * 1000);
  const keepMs = config.payloadTtlSeconds * 1000;
  const outbox = stack.use(
    repeat({ name: 'outbox', everyMs: 1000, logger, run: async () => void (await drainOutbox({ ledger, stream, nowMs, keepMs, logger })) }),
  );

  const deps = {
    ledger,
    facts,
    checks,
    receipts,
    terms,
    keccak,
    cipher,
    meter: meters.meter,
    exposureLimit: config.exposureBaseUnits,
    payloadTtlMs: keepMs,
    nowMs,
    newId: randomId,
    onCharged: () => outbox.wake(),
  };
  const common = incomingCalls(deps);
  const redeemer = createRedeemer({
    ledger,
    chain: redeemChain(laneOf(signerFromKey(readSecret(config.settle.keyFile))), market.contracts),
    policy: { threshold: config.settle.thresholdBaseUnits, safetySeconds: config.settle.safetySeconds, maxRows: REDEEM_ROWS },
    nowMs,
    newId: randomId,
    logger,
    onOutcome: meters.redeemed,
  });

  const openGateway = () => {
    if (config.role !== 'gateway' || !payer) return undefined;
    const lane = laneOf(payer);
    const exits = createExits({
      ledger,
      facts,
      chain: exitChain(lane, market.contracts),
      idleMs: config.gateway.idleExitSeconds * 1000,
      nowMs,
      logger,
    });
    stack.use(repeat({ name: 'exits', everyMs: 5000, logger, run: () => exits.run() }));
    const providers = createProviders({
      ...deps,
      chain: depositChain(lane, market.contracts, nowMs),
      payer,
      token: market.contracts.paymentToken,
      withdrawDelay: config.gateway.withdrawDelaySeconds,
      portion: config.gateway.providerDepositBaseUnits,
      limits: { maxPrepaid: config.gateway.maxPrepaidBaseUnits, headroom: config.gateway.headroomBaseUnits },
      randomBytes32,
      sleep: (ms) => sleep(ms),
      logger,
      waitMs: PROVIDER_WAIT_MS,
    });
    return { ...gatewayCalls({ ...deps, common, payer, onBill: providers.billed }), ...providers, payer };
  };
  const openEdge = () => {
    if (config.role !== 'edge') return undefined;
    const receiptSigner = signerFromKey(readSecret(config.edge.receiptKeyFile));
    const grants = grantsOf(config.edge.grantsFile, receiptSigner.address, logger, nowMs);
    const poster = claimPoster(bus, scope, stack);
    const claims = createClaims({
      ledger,
      poster,
      keccak,
      hasArbiter: facts.hasArbiter,
      policy: config.edge.claims,
      nowMs,
      logger,
      onUnarbitrated: meters.unarbitrated,
    });
    stack.use(repeat({ name: 'claims', everyMs: 1000, logger, run: () => claims.run() }));
    return edgeCalls({ ...deps, common, grants, receiptSigner });
  };
  const [gateway, edge] = [openGateway(), openEdge()];

  async function credit({ receiptDigest, beneficiary, refund }: DisputeState): Promise<void> {
    if (!gateway || beneficiary !== gateway.payer.address) return;
    const amounts = await gateway.credit(receiptDigest, baseUnits(refund));
    if (amounts.credited === 0n && amounts.lost === 0n) return;
    meters.credited(amounts);
    logger.info({ receiptDigest, ...amounts }, 'a dispute was upheld; the consumer was given back what the bond refunded (micro)');
  }

  // A charge that comes before the registry would be refused for good.
  await Promise.race([watchFacts(bus, facts, stack), sleep(FACTS_WAIT_MS, undefined, { signal: stopping }).catch(() => undefined)]);
  await servePayment(bus, scope, { ...common, ...(gateway && { gateway }), ...(edge && { edge }) }, stack);
  stack.use(repeat({ name: 'settlement', everyMs: 5000, logger, run: async () => void (await redeemer.run(false)) }));
  const housekeeping = createHousekeeping({ ledger, common, facts, nowMs, keepMs, onBacklog: meters.backlog, onStale: meters.stale });
  stack.use(repeat({ name: 'look', everyMs: 1000, logger, run: housekeeping.look }));
  stack.use(repeat({ name: 'sweep', everyMs: 60_000, logger, run: housekeeping.sweep }));
  gateway?.resume();

  const management = createManagement({ ledger, common, redeemer, nowMs, newId: randomId, newApiKey });
  const app = managementApi({ management, adminToken, role: config.role, newId: randomId, logger });
  const http = stack.use(await listen(app, config.managementPort));
  const health = stack.use(
    await startHealth({ port: config.metricsPort, metrics, checks: { ledger: () => ledger.status(), bus: () => bus.status() } }),
  );
  health.setReady(true);
  logger.info({ role: config.role, scope, managementPort: http.port, metricsPort: health.port }, 'payment is ready');
  await untilSignal();
  health.setReady(false);
});

function logged(logger: Logger, work: Promise<unknown>): void {
  work.catch((err: unknown) => logger.error({ err }, 'what the chain says could not be written down'));
}
