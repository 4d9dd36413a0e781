import type { ModelProvider } from '@cupel/protocol/crd/objects';
import { ANNOTATION_ABANDON, FINALIZER_CHAIN } from '@cupel/protocol/crd/definition';

import { canonicalJson } from '@cupel/protocol/ids';
import type { Engine } from '@cupel/protocol/wire/bus';
import { encodeJson } from '@cupel/protocol/wire/scalars';

import { engineOf } from '../../engines/supported.ts';
import { accept } from './accept.ts';
import { PROBE_AGAIN_MS, PROBE_RETRY_MS, answerSeen, probeAction } from './answer.ts';
import { farewell, isSlashed } from './deletion.ts';
import { fails, holds, stalls, unknown } from './findings.ts';
import type { Observed, Settings } from './observed.ts';
import { onChain, wantedEngine } from './onchain.ts';
import type { Action, Finding, Plan } from './plan.ts';
import { readPodTemplate } from './pod-template.ts';
import { acceleratorCount, renderChildren } from './render.ts';
import type { Rendered } from './render.ts';
import { conditionsOf, notesOf, statusOf } from './status.ts';
import { place, verify, workloadReady } from './workload.ts';

/** How often the chain is compared with the spec when nothing happens. */
const DRIFT_MS = 60_000;
/** Things that nobody tells us of: a Secret, a balance, a transaction of the owner. */
const OUTSIDE_MS = 10_000;

/** What follows from one observation. Pure: the same observation gives the same plan. */
export const decide = (o: Observed, settings: Settings): Plan => {
  if (!o.object.valid) return unreadable(o, o.object);
  const object = o.object.value;
  return object.metadata.deletionTimestamp === undefined ? keep(o, object, settings) : leave(o, object, settings);
};

/** An object of another version of the CRD: nothing is done to it, but it may be abandoned. */
const unreadable = (o: Observed, { meta, conditions: before, message }: Extract<Observed['object'], { valid: false }>): Plan => {
  const abandoned = meta.deletionTimestamp !== undefined && meta.annotations?.[ANNOTATION_ABANDON] === 'true';
  if (abandoned) return { actions: [{ kind: 'letGo', condition: 'Ready' }], status: undefined, lookAgainInMs: undefined, notes: [] };
  const accepted = fails('Accepted', 'InvalidSpec', `${message}; correct it, or upgrade the operator together with charts/cupel-crds`);
  const findings = [accepted, fails('Ready', accepted.reason, accepted.message), holds('Stalled', accepted.reason, accepted.message)];
  const conditions = conditionsOf(before, findings, meta.generation, o.nowMs);
  return {
    actions: [],
    status: { observedGeneration: meta.generation, conditions },
    lookAgainInMs: undefined,
    notes: notesOf(before, conditions),
  };
};

const keep = (o: Observed, object: ModelProvider, settings: Settings): Plan => {
  const accepted = accept(o, object, settings.images);
  const placed = place(o, object);
  const actions: Action[] = [];
  const findings: Finding[] = [accepted, placed];
  const rendered = render(o, object, settings);
  if (accepted.status !== 'True' || rendered === undefined) {
    findings.push(...notReached(o, object));
    return plan(o, object, findings, actions);
  }

  if (!object.metadata.finalizers?.includes(FINALIZER_CHAIN)) actions.push({ kind: 'holdObject', condition: 'Accepted' });
  if (o.key.state === 'present' && !o.key.held) actions.push({ kind: 'holdKey', condition: 'Accepted' });
  // A terminating namespace takes no new objects.
  const hasPool = acceleratorCount(object) === 0 || o.pool !== undefined;
  if (hasPool && !o.ownNamespace.terminating)
    actions.push({ kind: 'ensureChildren', condition: 'WorkloadReady', children: rendered.children });

  const { finding: manifest, verified } = verify(o, object, rendered.template);
  const workload = workloadReady(o, object, rendered.template);
  const answer = answerSeen(o, object, verified);
  const probe = probeAction(o, object, verified, rendered.template);
  if (probe) actions.push(probe);
  findings.push(manifest, workload, answer);

  const clear = manifest.status === 'True' && answer.status === 'True' && !o.ownNamespace.terminating;
  const chain = onChain(o, object, verified, clear);
  actions.push(...chain.actions);
  findings.push(...chain.findings);

  const slashed = isSlashed(o, object);
  if (slashed) findings.push(slashed);
  const pause = maintenance(o, object);
  if (pause) findings.push(pause);

  const serving =
    workload.status === 'True' && workload.reason !== 'ScaledToZero' && manifest.status === 'True' && answer.status === 'True';
  actions.push(...engineActions(o, object, verified, !serving || slashed !== undefined || pause !== undefined));
  return plan(o, object, findings, actions);
};

const render = (o: Observed, object: ModelProvider, settings: Settings): Rendered | undefined => {
  const adapter = engineOf(object.spec.engine.type);
  const template = readPodTemplate(object.spec.podTemplate);
  if (adapter === undefined || !template.ok || object.spec.model.source.pvc === undefined) return undefined;
  const pool = acceleratorCount(object) > 0 ? o.pool : undefined;
  return renderChildren({ object, adapter, images: settings.images, pool, additions: template.additions, digest: settings.digest });
};

/** An object that is not accepted (any more) keeps what was found of it; what never was stays unknown. */
const notReached = (o: Observed, object: ModelProvider): Finding[] => {
  const chain = onChain(o, object, undefined, false);
  const slashed = isSlashed(o, object);
  const before = (['ManifestVerified', 'WorkloadReady', 'AnswerSeen'] as const).map((type): Finding => {
    const old = object.status?.conditions?.find((condition) => condition.type === type);
    return old === undefined ? unknown(type, 'Waiting', 'the spec is not accepted yet') : { ...old, type };
  });
  return [...before, ...chain.findings, ...(slashed ? [slashed] : [])];
};

const engineActions = (o: Observed, object: ModelProvider, verified: Parameters<typeof wantedEngine>[2], draining: boolean): Action[] => {
  const wanted = wantedEngine(o, object, verified, draining);
  if (wanted === undefined) return o.engine === undefined ? [] : [{ kind: 'withdrawEngine', condition: 'EndpointPublished' }];
  return o.engine !== undefined && sameEngine(o.engine, wanted)
    ? []
    : [{ kind: 'publishEngine', condition: 'EndpointPublished', engine: wanted }];
};

const plainOf = (engine: Engine): string => canonicalJson(JSON.parse(encodeJson(engine)));
const sameEngine = (a: Engine, b: Engine): boolean => plainOf(a) === plainOf(b);

const maintenance = (o: Observed, object: ModelProvider): Finding | undefined => {
  const pause = object.spec.maintenance;
  if (pause === undefined || !(Date.parse(pause.until) > o.nowMs)) return undefined;
  return fails(
    'Ready',
    'Maintenance',
    `paused until ${pause.until}${pause.reason === undefined ? '' : `: ${pause.reason}`}; remove spec.maintenance to go on`,
  );
};

const leave = (o: Observed, object: ModelProvider, settings: Settings): Plan => {
  const bye = farewell(o, object, settings);
  const before = (object.status?.conditions ?? []).map((condition) => ({ ...condition }) as Finding);
  const kept = before.filter(({ type }) => type !== 'Ready' && type !== 'Reconciling' && type !== 'Stalled');
  const goes = !object.metadata.finalizers?.includes(FINALIZER_CHAIN) || bye.actions.some(({ kind }) => kind === 'letGo');
  const status = goes ? undefined : statusOf(o, object, [...kept, ...bye.findings], bye.drainingSince);
  return {
    actions: bye.actions,
    status,
    lookAgainInMs: bye.lookAgainInMs,
    notes: [...bye.notes, ...readyNote(object, bye.findings)],
  };
};

const readyNote = (object: ModelProvider, findings: readonly Finding[]): Plan['notes'] => {
  const ready = findings.find(({ type }) => type === 'Ready');
  const old = object.status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready === undefined || old?.reason === ready.reason) return [];
  return [{ type: stalls(ready.reason) ? 'Warning' : 'Normal', reason: ready.reason, message: ready.message }];
};

const plan = (o: Observed, object: ModelProvider, findings: readonly Finding[], actions: readonly Action[]): Plan => {
  const status = statusOf(o, object, findings, undefined);
  const conditions = status.conditions ?? [];
  return { actions, status, lookAgainInMs: lookAgain(o, object, conditions), notes: notesOf(object.status?.conditions, conditions) };
};

const lookAgain = (o: Observed, object: ModelProvider, conditions: NonNullable<Plan['status']>['conditions'] & object): number => {
  const ready = conditions.find(({ type }) => type === 'Ready');
  const answer = conditions.find(({ type }) => type === 'AnswerSeen');
  const until = object.spec.maintenance === undefined ? Number.POSITIVE_INFINITY : Date.parse(object.spec.maintenance.until) - o.nowMs;
  const pauseEnds = until > 0 ? until + 100 : Number.POSITIVE_INFINITY;
  const wait =
    ready?.status === 'True' ? DRIFT_MS : answer?.reason === 'NoAnswer' || answer?.reason === 'WrongAnswer' ? PROBE_RETRY_MS : OUTSIDE_MS;
  return Math.min(wait, pauseEnds, PROBE_AGAIN_MS);
};
