import type { Condition } from '@cupel/protocol/crd/fields';
import type { ModelProviderStatus } from '@cupel/protocol/crd/model-provider';
import type { ModelProvider } from '@cupel/protocol/crd/objects';
import { formatDecimal } from '@cupel/protocol/money';

import { conditionsFrom } from '../conditions.ts';
import { fails, holds, stalls } from './findings.ts';
import type { Observed } from './observed.ts';
import { CONDITION_TYPES } from './plan.ts';
import type { Action, ConditionType, Finding, Note } from './plan.ts';
import { selectorText } from './render.ts';

/** The first step that is not done decides. */
export const summarize = (findings: readonly Finding[]): Finding => {
  const slashed = findings.find(({ type }) => type === 'Slashed');
  if (slashed) return fails('Ready', 'Slashed', slashed.message);
  const ready = findings.find(({ type }) => type === 'Ready');
  if (ready) return ready;
  const missing = CONDITION_TYPES.filter((type) => type !== 'Ready')
    .map((type) => findings.find((finding) => finding.type === type))
    .find((finding) => finding?.status !== 'True');
  return missing === undefined
    ? holds('Ready', 'Serving', 'the model is served, registered and staked, and the edge sells it')
    : fails('Ready', missing.reason, `${missing.type}: ${missing.message}`);
};

/** kstatus: Stalled when only somebody else can help, Reconciling while it goes on; both absent when all is well. */
const progress = (findings: readonly Finding[]): Finding | undefined => {
  const ready = findings.find(({ type }) => type === 'Ready');
  if (ready !== undefined && ready.status !== 'True') {
    return stalls(ready.reason) ? holds('Stalled', ready.reason, ready.message) : holds('Reconciling', ready.reason, ready.message);
  }
  const partly = findings.find(
    ({ type, reason }) => (type === 'WorkloadReady' && reason === 'PartlyAvailable') || reason === 'PricesDiffer',
  );
  return partly === undefined ? undefined : holds('Reconciling', partly.reason, partly.message);
};

const order = [...CONDITION_TYPES, 'Reconciling', 'Stalled', 'Slashed'];

/** Conditions in a fixed order. */
export const conditionsOf = (
  before: readonly Condition[] | undefined,
  findings: readonly Finding[],
  generation: number,
  nowMs: number,
): Condition[] =>
  conditionsFrom(
    before,
    findings.toSorted((a, b) => order.indexOf(a.type) - order.indexOf(b.type)),
    generation,
    nowMs,
  );

/** Everything that was found as the status of the object. */
export const statusOf = (
  o: Observed,
  object: ModelProvider,
  found: readonly Finding[],
  drainingSince: string | undefined,
): ModelProviderStatus => {
  const withReady = [...found.filter(({ type }) => type !== 'Ready'), summarize(found)];
  const going = progress(withReady);
  const before = object.status;
  return {
    observedGeneration: object.metadata.generation,
    replicas: o.workload.deployment?.replicas ?? 0,
    readyReplicas: o.workload.deployment?.ready ?? 0,
    selector: selectorText(o.name),
    price: priceLine(object),
    ...onChainStatus(o, object),
    ...(drainingSince === undefined ? {} : { drainingSince }),
    conditions: conditionsOf(
      before?.conditions,
      going === undefined ? withReady : [...withReady, going],
      object.metadata.generation,
      o.nowMs,
    ),
  };
};

const onChainStatus = (o: Observed, object: ModelProvider): Pick<ModelProviderStatus, 'onChain' | 'endpoint'> => {
  const before = object.status;
  if (o.chain.state !== 'read') {
    return { ...(before?.onChain ? { onChain: before.onChain } : {}), ...(before?.endpoint ? { endpoint: before.endpoint } : {}) };
  }
  const { model, version, stake, decimals, endpoint } = o.chain;
  if (model.status === 'none') return { onChain: { modelId: o.modelId } };
  return {
    onChain: {
      modelId: o.modelId,
      ...(version === undefined ? {} : { versionId: version.versionId }),
      stake: formatDecimal(stake.free + stake.locked + stake.unbonding, decimals.stake),
      bond: formatDecimal(stake.bond, decimals.payment),
      registeredAtBlock: model.registeredAtBlock,
    },
    ...(endpoint === '' ? {} : { endpoint: { url: endpoint } }),
  };
};

const priceLine = (object: ModelProvider): string => {
  const { inputPerMillionTokens: input, outputPerMillionTokens: output, perRequest } = object.spec.pricing;
  const perTokens = input === '0' && output === '0' ? [] : [`${input}/${output} per 1M`];
  const request = perRequest === '0' ? [] : [`${perRequest} per request`];
  return [...perTokens, ...request].join(' + ') || 'free';
};

/** One event per change of a condition's status or reason; what is merely waited for is not told. */
export const notesOf = (before: readonly Condition[] | undefined, after: readonly Condition[]): Note[] =>
  after
    .filter(({ type, status, reason }) => {
      const old = before?.find((condition) => condition.type === type);
      if (type === 'Ready' || type === 'Reconciling' || type === 'Stalled')
        return type === 'Ready' && status === 'True' && old?.status !== 'True';
      return status !== 'Unknown' && (old?.status !== status || (status === 'False' && old.reason !== reason));
    })
    .map(({ type, status, reason, message }) => ({
      type: type === 'Slashed' || (status === 'False' && stalls(reason)) ? 'Warning' : 'Normal',
      reason: type === 'Slashed' ? 'Slashed' : reason,
      message: type === 'Ready' ? message : `${type}: ${message}`,
    }));

/** Reasons that come of an action that failed, not of what was observed. */
export const FAILURE_REASONS: readonly string[] = ['TransactionReverted', 'TransactionPending', 'KeyUnavailable', 'ChainUnavailable'];

export interface Failure {
  readonly action: Action;
  readonly reason: string;
  readonly message: string;
}

/** The status when an action failed: its condition says so, and Ready follows. */
export const withFailure = (o: Observed, object: ModelProvider, status: ModelProviderStatus, failure: Failure): ModelProviderStatus => {
  const found = (status.conditions ?? [])
    .filter(({ type }) => type !== 'Ready' && type !== 'Reconciling' && type !== 'Stalled')
    .map((condition): Finding => ({ ...condition, type: condition.type as ConditionType }));
  const failed = fails(failure.action.condition, failure.reason, failure.message);
  const findings = [...found.filter(({ type }) => type !== failed.type), failed];
  return statusOf(o, object, findings, status.drainingSince);
};
