import type { Hex } from '@cupel/protocol/hex';
import type { Logger } from '@cupel/protocol/log';
import type { DisputeState } from '@cupel/protocol/wire/projections';

import { UNKNOWN_RECEIPT, findingOf } from '../defend/finding.ts';
import type { Defence, Finding } from '../defend/finding.ts';
import type { VerifierState } from '../state.ts';
import type { Judge } from './judge.ts';
import type { Versions } from './ports.ts';
import { createRetries } from './retries.ts';

export interface DefenceDeps {
  readonly state: VerifierState;
  readonly versions: Versions;
  readonly judge: Judge;
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly onFinding: (finding: Finding) => void;
}

/** The stream may be behind the chain: so long a receipt may be unknown. */
const GRACE_MS = 15_000;

/** The provider's side: looks at every verdict against an own model, recomputes the answer, and says what it finds. */
export const createDefence = (deps: DefenceDeps) => {
  const { state, nowMs, logger } = deps;
  const retries = createRetries(nowMs);
  const verdicts = new Map<Hex, { readonly dispute: DisputeState; readonly seenAtMs: number }>();

  const look = async (dispute: DisputeState, seenAtMs: number): Promise<Defence | undefined> => {
    const event = state.event(dispute.receiptDigest);
    if (!event) return nowMs() - seenAtMs < GRACE_MS ? undefined : UNKNOWN_RECEIPT;
    const version = await deps.versions.of(event.envelope.receipt.versionId, event.modelId);
    if (!version) return { finding: 'unverifiable', reason: 'the registry does not know the version' };
    return findingOf((await deps.judge(event, version)).judgement);
  };

  const tell = (dispute: DisputeState, defence: Defence): void => {
    const { receiptDigest, modelId, tx, slashed } = dispute;
    state.putDefence(receiptDigest, modelId, tx, defence, nowMs());
    deps.onFinding(defence.finding);
    logger.error({ receiptDigest, modelId, tx, slashed, finding: defence.finding }, `a verdict against our model: ${defence.reason}`);
  };

  return {
    disputeChanged(_key: string, dispute: DisputeState | undefined): void {
      // A bucket that was lost takes no verdict back.
      if (dispute?.status === 'upheld' && !verdicts.has(dispute.receiptDigest))
        verdicts.set(dispute.receiptDigest, { dispute, seenAtMs: nowMs() });
    },
    async run(): Promise<void> {
      const own = state.models();
      for (const [digest, { dispute, seenAtMs }] of verdicts) {
        if (!own.has(dispute.modelId) || state.defended(digest) || !retries.isDue(digest)) continue;
        try {
          const defence = await look(dispute, seenAtMs);
          if (defence) tell(dispute, defence);
        } catch (err) {
          logger.warn(
            { err, receiptDigest: digest, tries: retries.failed(digest) },
            'a verdict could not be looked at yet; it is tried again',
          );
        }
      }
    },
  };
};
