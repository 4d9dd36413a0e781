import type { Observed } from './observed.ts';
import type { Action } from './plan.ts';
import type { KeyReference, ModelProviderPorts, ObjectKey, SendResult } from './ports.ts';
import type { Failure } from './status.ts';
import type { Hex } from '@cupel/protocol/hex';

export interface Applied {
  /** Something is different now: look again at once. */
  readonly changed: boolean;
  readonly failure: Failure | undefined;
}

/** Actions that wait for others: chain and edge. The status is written before them, so that people see what is waited for. */
export const isSlow = (action: Action): boolean =>
  !['holdObject', 'holdKey', 'ensureChildren', 'publishEngine', 'withdrawEngine', 'letGo'].includes(action.kind);

/** Runs actions in order until one fails. Each may have been run before by a process that died. */
export const apply = async (ports: ModelProviderPorts, o: Observed, actions: readonly Action[]): Promise<Applied> => {
  let changed = false;
  for (const action of actions) {
    const result = await run(ports, o, action);
    if (!result.ok) return { changed, failure: { action, reason: result.reason, message: result.message } };
    changed ||= result.changed;
  }
  return { changed, failure: undefined };
};

type Result = { readonly ok: true; readonly changed: boolean } | Extract<SendResult, { ok: false }>;

const CHANGED: Result = { ok: true, changed: true };

const run = async (ports: ModelProviderPorts, o: Observed, action: Action): Promise<Result> => {
  const name: ObjectKey = { namespace: o.namespace, name: o.name };
  const object = o.object.valid ? o.object.value : undefined;
  const key: KeyReference | undefined = object && { namespace: o.namespace, ...object.spec.identity.operatorKeyRef };
  if (action.kind === 'letGo') {
    await ports.cluster.letGo(name, key);
    ports.probes.forget(name);
    return CHANGED;
  }
  if (object === undefined || key === undefined) throw new Error(`an object that cannot be read has no action ${action.kind}`);
  const edge = object.spec.edgeRef.name;
  switch (action.kind) {
    case 'holdObject':
      await ports.cluster.holdObject(name);
      return CHANGED;
    case 'holdKey':
      await ports.cluster.holdKey(key);
      return CHANGED;
    case 'ensureChildren':
      // The informers tell of what changes there; no need to look again at once.
      await ports.cluster.ensureChildren(action.children);
      return { ok: true, changed: false };
    case 'probe':
      await ports.probes.ask(name, edge, action.workload, action.request);
      return CHANGED;
    case 'publishEngine':
      await ports.engines.publish(o.namespace, edge, action.engine);
      return CHANGED;
    case 'withdrawEngine':
      await ports.engines.withdraw(o.namespace, edge, o.modelId);
      return CHANGED;
    case 'register':
    case 'addVersion':
    case 'setPrices':
    case 'setEndpoint':
    case 'deposit':
    case 'retire':
    case 'withdrawStake': {
      if (o.market === undefined) throw new Error('a chain action needs a Market');
      const owner = object.spec.identity.ownerAddress.toLowerCase() as Hex;
      const sent = await ports.chain.send(o.market, key, { owner, modelId: o.modelId }, action);
      return sent.ok ? CHANGED : sent;
    }
  }
};
