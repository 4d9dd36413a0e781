import type { Bus, CallResult } from '@cupel/bus/bus';
import type { Logger } from '@cupel/protocol/log';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import {
  authenticateValue,
  chargeValue,
  engineList,
  leaseValue,
  outgoingValue,
  probeRequest,
  receiptValue,
  releaseValue,
  sessionValue,
  voucherValue,
} from '@cupel/protocol/wire/bus';
import type { Engine, ProbeRequest, ProbeValue } from '@cupel/protocol/wire/bus';
import { headState, registryEntry, reputation, stakeState } from '@cupel/protocol/wire/projections';
import type { HeadState, RegistryEntry, Reputation, StakeState } from '@cupel/protocol/wire/projections';
import { enginesKey, kvKey, paymentSubject, probeSubject } from '@cupel/protocol/wire/subjects';
import type { PaymentCall, Scope } from '@cupel/protocol/wire/subjects';
import type { z } from 'zod';

import type { EdgePayments } from '../edge/deps.ts';
import type { GatewayPayments, MarketView } from '../gateway/deps.ts';

const CALL_TIMEOUT_MS = 5_000;
/** A first request to a provider opens a channel on chain and waits until it is final. */
const OUTGOING_TIMEOUT_MS = 90_000;

const unwrap = <T>(result: CallResult<T>): T | Refusal => (result.ok ? result.value : result.refusal);

/** The party's payment service over the bus; serves both roles, each uses its part. */
export const busPayments = (bus: Bus, scope: Scope, routerId: string): GatewayPayments & EdgePayments => {
  const call = async <S extends z.ZodType>(
    name: PaymentCall,
    payload: object,
    value: S,
    timeoutMs = CALL_TIMEOUT_MS,
  ): Promise<z.output<S> | Refusal> =>
    unwrap(await bus.call(paymentSubject(scope, name), { version: 1, ...payload }, value, { timeoutMs }));
  return {
    authenticate: (apiKeySha256) => call('authenticate', { apiKeySha256 }, authenticateValue),
    lease: (request) => call('lease', { ...request, routerId }, leaseValue),
    release: async (leaseId) => {
      await call('release', { leaseId, routerId }, releaseValue);
    },
    voucher: (channelId, voucher) => call('voucher', { channelId, ...voucher }, voucherValue),
    charge: (request) => call('charge', request, chargeValue),
    outgoing: (request) => call('outgoing', request, outgoingValue, OUTGOING_TIMEOUT_MS),
    receipt: (request) => call('receipt', request, receiptValue),
    session: (request) => call('session', request, sessionValue),
  };
};

const follow =
  <T>(view: Map<string, T>) =>
  (key: string, value: T | undefined): void => {
    if (value === undefined) view.delete(key);
    else view.set(key, value);
  };

/** The buckets that a gateway chooses by. `ready`: registry, stakes and head have been read once. */
export const watchMarket = (bus: Bus, stack: AsyncDisposableStack): MarketView & { readonly ready: Promise<unknown> } => {
  const entries = new Map<string, RegistryEntry>();
  const scores = new Map<string, Reputation>();
  const stakes = new Map<string, StakeState>();
  const heads = new Map<string, HeadState>();
  const registryWatch = stack.use(bus.kv('registry', registryEntry).watch(follow(entries)));
  const stakeWatch = stack.use(bus.kv('stakes', stakeState).watch(follow(stakes)));
  const headWatch = stack.use(bus.kv('head', headState).watch(follow(heads)));
  stack.use(bus.kv('reputation', reputation).watch(follow(scores)));
  return {
    registry: () => entries.values(),
    stake: (modelId) => stakes.get(kvKey(modelId)),
    reputation: (modelId) => scores.get(kvKey(modelId)),
    head: () => heads.get('latest'),
    ready: Promise.all([registryWatch.ready, stakeWatch.ready, headWatch.ready]),
  };
};

/** What the operator says of this edge's own engines; nobody else's. */
export const watchEngines = (
  bus: Bus,
  edge: { readonly namespace: string; readonly name: string },
  stack: AsyncDisposableStack,
): (() => readonly Engine[]) => {
  const key = enginesKey(edge.namespace, edge.name);
  let engines: readonly Engine[] = [];
  stack.use(
    bus.kv('engines', engineList).watch(
      (changed, value) => {
        if (changed === key) engines = value?.engines ?? [];
      },
      { key },
    ),
  );
  return () => engines;
};

export const serveProbe = async (
  bus: Bus,
  scope: Scope,
  probe: (request: ProbeRequest) => Promise<ProbeValue | Refusal>,
  logger: Logger,
  stack: AsyncDisposableStack,
): Promise<void> => {
  stack.use(
    await bus.serve(
      probeSubject(scope),
      probeRequest,
      async (request) => {
        try {
          return await probe(request);
        } catch (err) {
          logger.error({ err }, 'a probe failed');
          return refuse('internal', 'the probe failed');
        }
      },
      { queue: 'router' },
    ),
  );
};
