import { connectBus } from '@cupel/bus/connection';
import { connectChain } from '@cupel/chain/connect';
import { readSecret } from '@cupel/runtime/config';
import { startHealth } from '@cupel/runtime/health';
import { repeat, runMain } from '@cupel/runtime/lifecycle';
import { createLogger } from '@cupel/runtime/logger';
import { createMetrics } from '@cupel/runtime/metrics';
import { keccak256 } from '@cupel/signing/keccak';

import { loadConfig } from './config.ts';
import { exitsNear } from './guard/exits.ts';
import { stale } from './guard/heads.ts';
import { busProjections } from './io/bus.ts';
import { chainReader } from './io/chain.ts';
import { openUndoJournal } from './io/journal.ts';
import { createFollower } from './tail/follow.ts';

const EXIT_WARNING_SECONDS = 3600;

await runMain('watcher', async (stack, { clock, stopping, untilSignal }) => {
  const config = loadConfig();
  const { market } = config;
  const logger = createLogger({ service: 'watcher', level: config.log.level });
  const metrics = createMetrics('watcher');
  const blocks = metrics.counter({ name: 'blocks_total', help: 'Blocks whose events were taken over.' });
  const undone = metrics.counter({ name: 'undone_blocks_total', help: 'Blocks taken back after a reorganisation.' });
  const reorgs = metrics.counter({ name: 'reorgs_total', help: 'Reorganisations of the chain.' });
  const writes = metrics.counter({ name: 'projection_writes_total', help: 'Keys written or deleted.', labels: ['bucket'] });
  const odd = metrics.counter({ name: 'odd_answers_total', help: 'Passes in which the node was behind or contradicted itself.' });
  const undecodable = metrics.counter({
    name: 'undecodable_logs_total',
    help: 'Logs of the contracts that could not be read and were left out.',
  });
  const lag = metrics.gauge({ name: 'head_lag_seconds', help: 'Age of the last block in the projections.' });
  const height = metrics.gauge({ name: 'height_blocks', help: 'Height of the projections.', labels: ['cursor'] });
  const halted = metrics.gauge({ name: 'halted', help: '1: the node contradicts what was final, and nothing is rewritten.' });
  const exits = metrics.gauge({ name: 'channel_exits_near', help: 'Channels with money in them that can be withdrawn within an hour.' });
  const seen = metrics.gauge({ name: 'seen_timestamp_seconds', help: 'When the chain answered last, in unix time.' });

  const client = stack.use(connectChain({ rpc: market.rpc, chainId: market.chainId, logger }));
  const identity = JSON.stringify([market.chainId, market.contracts, config.startBlock]);
  const journal = stack.use(openUndoJournal(config.statePath, identity));
  const user = readSecret(config.nats.userFile);
  const password = readSecret(config.nats.passwordFile);
  const bus = stack.use(await connectBus({ url: config.nats.url, user, password, name: 'watcher', logger, signal: stopping }));

  let reorganising = false;
  const follower = createFollower({
    chain: chainReader({
      client,
      contracts: market.contracts,
      keccak: keccak256,
      confirmations: config.confirmations,
      onUndecodable({ address, topics, transactionHash, logIndex }, err) {
        undecodable.inc();
        logger.error({ err, address, topic: topics[0], transactionHash, logIndex }, 'a log could not be read and is left out');
      },
    }),
    journal,
    projections: busProjections({ bus, clock, onWrite: (bucket) => writes.inc({ bucket }) }),
    startBlock: config.startBlock,
    observer: {
      applied(count) {
        reorganising = false;
        blocks.inc({}, count);
      },
      undone({ number, hash }) {
        if (!reorganising) reorgs.inc();
        reorganising = true;
        undone.inc();
        logger.warn({ number, hash }, 'a block left the chain; its events are taken back');
      },
      halted(reason) {
        halted.set({}, reason === undefined ? 0 : 1);
        if (reason !== undefined) logger.error({}, `halted: ${reason}`);
      },
      odd(problem) {
        odd.inc();
        logger.warn({}, problem);
      },
    },
  });

  const freshness = (): string | undefined => {
    const tip = journal.tip();
    return tip ? stale(tip.timestamp, clock.nowMs(), config.staleSeconds) : 'no block has been read yet';
  };
  const checks = { nats: () => bus.status(), chain: () => client.status(), tail: () => follower.problem(), head: freshness };
  const health = stack.use(await startHealth({ port: config.metricsPort, metrics, checks }));
  stack.use(
    repeat({
      name: 'tail',
      everyMs: config.pollMs,
      logger,
      maxBackoffMs: 10_000,
      run: async () => {
        await follower.pass();
        const tip = journal.tip();
        seen.set({}, clock.nowMs() / 1000);
        height.set({ cursor: 'latest' }, tip?.number ?? 0);
        height.set({ cursor: 'finalized' }, Math.max(0, journal.finalized()));
        if (tip) lag.set({}, Math.max(0, clock.nowMs() / 1000 - tip.timestamp));
        exits.set({}, exitsNear(journal.all('channels').values(), clock.nowMs() / 1000, EXIT_WARNING_SECONDS).length);
      },
    }),
  );
  health.setReady(true);
  logger.info({ chainId: market.chainId, startBlock: config.startBlock, port: health.port }, 'watching the chain');
  const signal = await untilSignal();
  health.setReady(false);
  logger.info({ signal }, 'stopping');
});
