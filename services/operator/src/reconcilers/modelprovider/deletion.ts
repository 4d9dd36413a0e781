import type { ModelProvider } from '@cupel/protocol/crd/objects';
import { ANNOTATION_ABANDON, FINALIZER_CHAIN } from '@cupel/protocol/crd/definition';
import { formatDecimal } from '@cupel/protocol/money';

import { conditionOf, fails, holds } from './findings.ts';
import type { Observed, Settings } from './observed.ts';
import type { Action, Finding, Note } from './plan.ts';
import { wantedEngine } from './onchain.ts';

export interface Farewell {
  readonly actions: readonly Action[];
  readonly findings: readonly Finding[];
  readonly notes: readonly Note[];
  readonly drainingSince: string | undefined;
  readonly lookAgainInMs: number | undefined;
}

/**
 * The way out: tell the edge that the engine drains, give requests in flight their time, retire on chain (which starts the unbonding), let go.
 * Children go by their owner references. Whatever is done already is not done again, so that it may be cut off anywhere.
 */
export const farewell = (o: Observed, object: ModelProvider, settings: Settings): Farewell => {
  const drainingSince = object.status?.drainingSince;
  const base = { actions: [], findings: [], notes: [], drainingSince, lookAgainInMs: undefined };
  if (!object.metadata.finalizers?.includes(FINALIZER_CHAIN)) return base;
  const leave: Action[] = [
    ...(o.engine === undefined ? [] : ([{ kind: 'withdrawEngine', condition: 'EndpointPublished' }] as const)),
    { kind: 'letGo', condition: 'Ready' },
  ];
  const { status, metadata, spec } = object;
  const stays = `entry ${status?.onChain?.modelId ?? o.modelId} and ${status?.onChain?.stake ?? 'its'} stake stay on chain as they are`;
  if (metadata.annotations?.[ANNOTATION_ABANDON] === 'true') {
    return {
      ...base,
      actions: leave,
      notes: [{ type: 'Warning', reason: 'Abandoned', message: `let go without the chain: ${stays}; the owner can still retire it` }],
    };
  }
  if (spec.deletionPolicy === 'Orphan') {
    return { ...base, actions: leave, notes: [{ type: 'Normal', reason: 'Orphaned', message: `deletionPolicy is Orphan: ${stays}` }] };
  }

  const terminating = (reason: string, message: string): Finding => fails('Ready', reason, message);
  const release = `to let the object go without the chain: kubectl annotate modelprovider ${o.name} -n ${o.namespace} ${ANNOTATION_ABANDON}=true`;

  // Nothing was ever sent, and nothing will be: an object that was refused needs no chain to go.
  const neverRegistered = status?.onChain?.registeredAtBlock === undefined;
  if (o.chain.state !== 'read') {
    if (neverRegistered && o.market === undefined) return { ...base, actions: leave };
    const why = o.chain.state === 'unreachable' ? o.chain.message : `Market "${spec.marketRef.name}" is not there`;
    return {
      ...base,
      findings: [terminating('ChainUnreachable', `the entry cannot be retired: ${why}; it is tried again; ${release}`)],
      lookAgainInMs: 5000,
    };
  }
  const { model, stake, headTimestamp, decimals } = o.chain;
  const entryLives = model.status === 'active' || (model.status === 'suspended' && stake.unbondEnd === 0);
  if (model.status === 'none') return { ...base, actions: leave };

  if (o.engine !== undefined && (!o.engine.draining || drainingSince === undefined)) {
    const engine = wantedEngine(o, object, undefined, true) ?? { ...o.engine, draining: true };
    return {
      ...base,
      actions: o.engine.draining ? [] : [{ kind: 'publishEngine', condition: 'EndpointPublished', engine }],
      findings: [
        terminating(
          'Draining',
          `edge ${spec.edgeRef.name} gives the engine nothing new; requests in flight have ${settings.drainMs / 1000} s`,
        ),
      ],
      drainingSince: o.engine.draining ? new Date(o.nowMs).toISOString() : undefined,
      lookAgainInMs: o.engine.draining ? settings.drainMs : 50,
    };
  }
  const drainedInMs = o.engine === undefined || drainingSince === undefined ? 0 : Date.parse(drainingSince) + settings.drainMs - o.nowMs;
  if (drainedInMs > 0) {
    return {
      ...base,
      findings: [terminating('Draining', `requests in flight have until ${new Date(o.nowMs + drainedInMs).toISOString()}`)],
      lookAgainInMs: drainedInMs,
    };
  }

  if (entryLives) {
    if (o.key.state !== 'present') {
      return {
        ...base,
        findings: [terminating('KeyMissing', `the entry cannot be retired: ${o.key.message}; restore the Secret; ${release}`)],
        lookAgainInMs: 10_000,
      };
    }
    return {
      ...base,
      actions: [{ kind: 'retire', condition: 'Ready', id: `retire:${o.modelId}` }],
      findings: [terminating('Retiring', `the entry ${o.modelId} is being retired on chain`)],
    };
  }
  const left = stake.free + stake.locked + stake.unbonding;
  if (spec.deletionPolicy === 'WaitForUnbonding' && (left > 0n || stake.bond > 0n)) {
    if (headTimestamp < stake.unbondEnd) {
      const end = new Date(stake.unbondEnd * 1000).toISOString();
      return {
        ...base,
        findings: [terminating('Unbonding', `${formatDecimal(left, decimals.stake)} of stake unbond until ${end}`)],
        lookAgainInMs: Math.min(60_000, (stake.unbondEnd - headTimestamp) * 1000 + 1000),
      };
    }
    return {
      ...base,
      actions: [{ kind: 'withdrawStake', condition: 'Ready', id: `withdraw:${o.modelId}:${left}:${stake.bond}` }],
      findings: [terminating('Withdrawing', 'the stake is being paid to the payout address')],
    };
  }
  const notes: Note[] = [
    {
      type: 'Normal',
      reason: 'Retired',
      message:
        left > 0n
          ? `retired on chain; ${formatDecimal(left, decimals.stake)} of stake unbond until ${new Date(stake.unbondEnd * 1000).toISOString()}, then anyone may call StakeVault.withdraw(${o.modelId}), which pays only the payout address`
          : 'retired on chain; no stake is left',
    },
  ];
  return { ...base, actions: leave, notes };
};

/** Shown for ever once a dispute was upheld. */
export const isSlashed = (o: Observed, object: ModelProvider): Finding | undefined => {
  if (o.chain.state !== 'read') {
    const before = conditionOf(object, 'Slashed');
    return before && holds('Slashed', before.reason, before.message);
  }
  const { model, stake, decimals } = o.chain;
  if (model.status !== 'suspended' && model.faults === 0) return undefined;
  const left = formatDecimal(stake.free + stake.locked + stake.unbonding, decimals.stake);
  return holds(
    'Slashed',
    'FaultUpheld',
    `${model.faults} ${model.faults === 1 ? 'dispute was' : 'disputes were'} upheld on chain; of ${object.spec.stake.amount} of stake ${left} are left, and a bond of ${formatDecimal(stake.bond, decimals.payment)}; ` +
      'the entry is suspended for good: find out why the engine answered wrongly, then create a ModelProvider with another metadata.name',
  );
};
