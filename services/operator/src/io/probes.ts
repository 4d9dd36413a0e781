import { BusFault, BusUnavailable } from '@cupel/bus/bus';
import type { Bus } from '@cupel/bus/bus';
import type { Clock } from '@cupel/protocol/time';
import { probeValue } from '@cupel/protocol/wire/bus';
import { edgeScope, probeSubject } from '@cupel/protocol/wire/subjects';

import type { ObservedAnswer } from '../reconcilers/modelprovider/observed.ts';
import type { ObjectKey, ProbePort } from '../reconcilers/modelprovider/ports.ts';

/** A small model on two cores answers in under a second; a cold large one may take long. */
const TIMEOUT_MS = 30_000;

/** Asks engines through their edge, since nobody else may open their Service; remembers the last answer of each. */
export const createProbes = (bus: Pick<Bus, 'call'>, clock: Clock): ProbePort => {
  const answers = new Map<string, { readonly workload: string; readonly answer: ObservedAnswer }>();
  const keyOf = ({ namespace, name }: ObjectKey): string => `${namespace}/${name}`;
  return {
    last(object, workload) {
      const known = answers.get(keyOf(object));
      return known?.workload === workload ? known.answer : { state: 'unasked' };
    },
    async ask(object, edge, workload, request) {
      const failed = (message: string): ObservedAnswer => ({ state: 'failed', message, atMs: clock.nowMs() });
      let answer: ObservedAnswer;
      try {
        const reply = await bus.call(probeSubject(edgeScope(object.namespace, edge)), request, probeValue, { timeoutMs: TIMEOUT_MS });
        answer = reply.ok
          ? { state: 'answered', input: request.input, value: reply.value, atMs: clock.nowMs() }
          : failed(`edge "${edge}" got no answer from the engine: ${reply.refusal.message}`);
      } catch (error) {
        if (error instanceof BusUnavailable)
          answer = failed(
            `edge "${edge}" does not answer on the bus; is its release installed in namespace ${object.namespace}, and ready?`,
          );
        else if (error instanceof BusFault) answer = failed(`edge "${edge}": ${error.message}`);
        else throw error;
      }
      answers.set(keyOf(object), { workload, answer });
    },
    forget: (object) => {
      answers.delete(keyOf(object));
    },
  };
};
