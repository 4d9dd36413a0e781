import { apply, isSlow } from './apply.ts';
import { decide } from './decide.ts';
import { conditionOf } from './findings.ts';
import { observe } from './observe.ts';
import type { Observed, Settings } from './observed.ts';
import type { Plan } from './plan.ts';
import type { ModelProviderPorts, ObjectKey } from './ports.ts';
import { FAILURE_REASONS, withFailure } from './status.ts';

const FAILED_AGAIN_MS = 10_000;
const CHANGED_AGAIN_MS = 20;

/** One pass: observe, decide, apply. Triggered with a name only; may run twice, late, or after a crash. */
export const reconcileModelProvider =
  (ports: ModelProviderPorts, settings: Settings) =>
  async (name: ObjectKey): Promise<{ lookAgainInMs?: number | undefined }> => {
    const o = await observe(ports, name);
    if (o === undefined) {
      ports.probes.forget(name);
      return {};
    }
    const plan = decide(o, settings);
    ports.cluster.tell(name, plan.notes);
    const quick = plan.actions.filter((action) => !isSlow(action) && action.kind !== 'letGo');
    const rest = plan.actions.filter((action) => isSlow(action) || action.kind === 'letGo');
    const first = await apply(ports, o, quick);
    if (plan.status !== undefined && !failedBefore(o, plan)) await ports.cluster.writeStatus(name, plan.status);
    const second = first.failure === undefined ? await apply(ports, o, rest) : first;
    if (second.failure !== undefined) {
      const { reason, message } = second.failure;
      if (o.object.valid && plan.status !== undefined)
        await ports.cluster.writeStatus(name, withFailure(o, o.object.value, plan.status, second.failure));
      const object = o.object.valid ? o.object.value : undefined;
      if (conditionOf(object, second.failure.action.condition)?.reason !== reason)
        ports.cluster.tell(name, [{ type: 'Warning', reason, message }]);
      return { lookAgainInMs: FAILED_AGAIN_MS };
    }
    return { lookAgainInMs: first.changed || second.changed ? CHANGED_AGAIN_MS : plan.lookAgainInMs };
  };

/** An action that failed last time is tried again: until it is done the status goes on telling the failure. */
const failedBefore = (o: Observed, plan: Plan): boolean =>
  plan.actions.some((action) => {
    const before = o.object.valid ? conditionOf(o.object.value, action.condition) : undefined;
    return before?.status === 'False' && FAILURE_REASONS.includes(before.reason);
  });
