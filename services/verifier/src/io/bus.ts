import type { Bus } from '@cupel/bus/bus';
import type { Hex } from '@cupel/protocol/hex';
import type { ReceiptEvent } from '@cupel/protocol/wire/bus';
import { consentValue, payloadValue, receiptEvent } from '@cupel/protocol/wire/bus';
import { disputeState, registryEntry, reputation } from '@cupel/protocol/wire/projections';
import type { DisputeState, RegistryEntry } from '@cupel/protocol/wire/projections';
import { kvKey, paymentSubject, receiptsStream, receiptsSubject } from '@cupel/protocol/wire/subjects';
import type { Scope } from '@cupel/protocol/wire/subjects';

import type { Payments } from '../loops/ports.ts';
import type { ReputationBucket } from '../loops/reputation.ts';

const CALL_TIMEOUT_MS = 5000;

export const paymentCalls = (bus: Bus, scope: Scope): Payments => ({
  async payload(requestId) {
    const answer = await bus.call(paymentSubject(scope, 'payload'), { version: 1, requestId }, payloadValue, {
      timeoutMs: CALL_TIMEOUT_MS,
    });
    if (answer.ok) return answer.value.payload;
    if (answer.refusal.reason === 'not_found') return undefined;
    throw new Error(`payment refused the payload: ${answer.refusal.reason}: ${answer.refusal.message}`);
  },
  async consent(receiptDigest, requestId, challenger) {
    const body = { version: 1, receiptDigest, requestId, challenger };
    const answer = await bus.call(paymentSubject(scope, 'consent'), body, consentValue, { timeoutMs: CALL_TIMEOUT_MS });
    if (answer.ok) return answer.value;
    throw new Error(`payment refused a consent: ${answer.refusal.reason}: ${answer.refusal.message}`);
  },
});

/** Made with these terms only when it is missing: its publisher is payment. */
const STREAM_AGE_MS = 7 * 86_400_000;
const STREAM_BYTES = 256 * 1024 * 1024;

export const consumeReceipts = (
  bus: Bus,
  scope: Scope,
  durable: string,
  handler: (event: ReceiptEvent) => Promise<void>,
): Promise<AsyncDisposable> =>
  bus.consume({
    stream: { name: receiptsStream(scope), subjects: [receiptsSubject(scope)], maxAgeMs: STREAM_AGE_MS, maxBytes: STREAM_BYTES },
    durable,
    schema: receiptEvent,
    handler,
  });

export interface RegistryFacts {
  entry(modelId: Hex): RegistryEntry | undefined;
}

/** What the watcher projects. A bucket that is away takes nothing back: terms are immutable. */
export const watchRegistry = (bus: Bus, stack: AsyncDisposableStack): RegistryFacts => {
  const entries = new Map<Hex, RegistryEntry>();
  stack.use(
    bus.kv('registry', registryEntry).watch((_key, entry) => {
      if (entry) entries.set(entry.modelId, entry);
    }),
  );
  return { entry: (modelId) => entries.get(modelId) };
};

export const watchDisputes = (
  bus: Bus,
  stack: AsyncDisposableStack,
  onChange: (key: string, dispute: DisputeState | undefined) => void,
): void => {
  stack.use(bus.kv('disputes', disputeState).watch(onChange));
};

export const reputationBucket = (bus: Bus): ReputationBucket => {
  const kv = bus.kv('reputation', reputation);
  return {
    ensure: () => bus.ensureKv('reputation'),
    put: async (modelId, value) => void (await kv.put(kvKey(modelId), value)),
  };
};
