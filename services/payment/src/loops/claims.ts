import type { Keccak256 } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import type { Logger } from '@cupel/protocol/log';
import type { Refusal } from '@cupel/protocol/reasons';

import type { LedgerStore } from '../ledger/records.ts';
import { planClaims } from '../settle/claims.ts';
import type { Claim, ClaimPolicy, HasArbiter } from '../settle/claims.ts';

/** The operator, whose key posts. */
export interface ClaimPoster {
  /** Throws when it cannot be said whether the claim was posted. */
  post(claim: Claim): Promise<{ readonly tx: Hex } | Refusal>;
  /** The transaction that posted the claim, when it stands on chain. */
  isPosted(claimId: Hex): Hex | undefined;
}

export interface ClaimsDeps {
  readonly ledger: LedgerStore;
  readonly poster: ClaimPoster;
  readonly keccak: Keccak256;
  readonly hasArbiter: HasArbiter;
  readonly policy: ClaimPolicy;
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly onUnarbitrated: (count: number) => void;
}

export interface Claims {
  /** One round: new roots are written down first, then every root that is not known to be posted is handed to the operator. */
  run(): Promise<void>;
}

/** Receipts looked at in one round. */
const LOOK = 10_000;

/** How long a claim rests that the operator refused, or did not answer: a retired or suspended model never takes it. */
const REST_MS = 30_000;

export const createClaims = (deps: ClaimsDeps): Claims => {
  const { ledger, logger, nowMs } = deps;
  const restUntilMs = new Map<Hex, number>();

  const hand = async (claim: Claim): Promise<Hex | undefined> => {
    if ((restUntilMs.get(claim.claimId) ?? 0) > nowMs()) return undefined;
    const fields = { claimId: claim.claimId, versionId: claim.versionId, count: claim.count };
    try {
      const answer = await deps.poster.post(claim);
      if ('tx' in answer) {
        logger.info({ ...fields, tx: answer.tx }, 'a claim was posted');
        return answer.tx;
      }
      logger.warn({ ...fields, reason: answer.reason, refusal: answer.message }, 'the operator refused a claim; it is asked again');
    } catch (err) {
      logger.warn({ ...fields, err }, 'the operator did not answer; it is asked again for the same claim');
    }
    restUntilMs.set(claim.claimId, nowMs() + REST_MS);
    return undefined;
  };

  return {
    async run() {
      const plan = planClaims(deps.keccak, ledger.records.unclaimed(LOOK), deps.hasArbiter, deps.policy, nowMs());
      if (plan.claims.length > 0 || plan.unarbitrated.length > 0) {
        await ledger.write(() => {
          for (const { claim, receipts } of plan.claims) ledger.records.putClaim(claim, receipts);
          ledger.records.markUnarbitrated(plan.unarbitrated);
        });
        deps.onUnarbitrated(plan.unarbitrated.length);
      }
      for (const claim of ledger.records.claims('planned')) {
        const tx = deps.poster.isPosted(claim.claimId) ?? (await hand(claim));
        if (tx) await ledger.write(() => ledger.records.putClaim({ ...claim, state: 'posted', tx }, []));
      }
    },
  };
};
