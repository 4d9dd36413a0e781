import type { Hex } from '@cupel/protocol/hex';

import type { VersionFacts } from '../judge/evidence.ts';
import type { Verdict } from '../judge/verdict.ts';
import { MAX_WEIGHT_BYTES } from './weights.ts';

export const ZERO_ADDRESS: Hex = `0x${'00'.repeat(20)}`;

/** due: to be brought to court. upheld, failed, falseAccusation: over. */
export type DisputeState = 'due' | 'upheld' | 'failed' | 'falseAccusation';

export interface StoredConsent {
  /** Unix seconds. */
  readonly notAfter: bigint;
  readonly signature: Hex;
}

export interface Dispute {
  readonly digest: Hex;
  readonly state: DisputeState;
  readonly consent: StoredConsent | undefined;
  /** Transactions that failed on chain; part of the next one's key. */
  readonly failures: number;
}

export type Accusation = { readonly accuse: true } | { readonly accuse: false; readonly why: string };

/** Only a proved lie goes to court, and only to a court that can run the model. */
export const accusation = (verdict: Verdict, version: VersionFacts, weightBytes: number, enabled: boolean): Accusation => {
  const no = (why: string): Accusation => ({ accuse: false, why });
  if (verdict !== 'lie') return no('only a proved lie is disputed');
  if (!enabled) return no('disputes are switched off (dispute.enabled)');
  if (version.mode !== 'IntegerExecution') return no(`no contract can rule on mode ${version.mode}`);
  if (version.arbiter === ZERO_ADDRESS) return no('the version has no arbiter');
  if (weightBytes > MAX_WEIGHT_BYTES) return no(`the weights have ${weightBytes} bytes, a data contract holds ${MAX_WEIGHT_BYTES}`);
  return { accuse: true };
};

export type Step = 'publish' | 'consent' | 'challenge' | 'rest';

/** A consent is asked for anew when a block might come too late for it. */
const CONSENT_MARGIN_SECONDS = 300n;

export interface Court {
  /** The weights stand in a contract. */
  readonly published: boolean;
  readonly nowSeconds: bigint;
}

/** What has to be done next; asked again after each step, and after a crash. */
export const nextStep = (dispute: Dispute, { published, nowSeconds }: Court): Step => {
  if (dispute.state !== 'due') return 'rest';
  if (!published) return 'publish';
  if (!dispute.consent || dispute.consent.notAfter <= nowSeconds + CONSENT_MARGIN_SECONDS) return 'consent';
  return 'challenge';
};

/** What came of a challenge, as the lane and the contract tell it. */
export type ChallengeOutcome =
  | { readonly kind: 'mined'; readonly hash: Hex }
  | { readonly kind: 'refused'; readonly simulated: boolean; readonly error: string; readonly message: string }
  | { readonly kind: 'open'; readonly message: string };

export type Ruling =
  | { readonly state: 'upheld' | 'failed' | 'falseAccusation'; readonly message: string; readonly tx?: Hex }
  /** Again, with a new key where the last transaction is spent. */
  | { readonly state: 'due'; readonly message: string; readonly spent: boolean; readonly renewConsent: boolean };

const MOST_FAILURES = 3;

/** Refusals that no later try can change. */
const FINAL = new Set([
  'EvidenceOver',
  'NoArbiter',
  'UnknownVersion',
  'RootMismatch',
  'InputMismatch',
  'InputLength',
  'GrantExpired',
  'GrantNotByOwner',
  'ReceiptNotBySigner',
  'PayeeNotProvider',
  'DescriptorMismatch',
  'GameNotSupported',
]);

/** `upheldOnChain`: DisputeManager.verdict says so, whoever brought it there. */
export const afterChallenge = (dispute: Dispute, outcome: ChallengeOutcome, upheldOnChain: boolean): Ruling => {
  if (outcome.kind === 'mined') return { state: 'upheld', message: 'upheld on our challenge', tx: outcome.hash };
  if (upheldOnChain) return { state: 'upheld', message: 'upheld on the challenge of somebody else' };
  if (outcome.kind === 'open') return { state: 'due', message: outcome.message, spent: false, renewConsent: false };
  const { error, message, simulated } = outcome;
  if (error === 'AnswerIsRight') return { state: 'falseAccusation', message };
  const failures = dispute.failures + (simulated ? 0 : 1);
  if (FINAL.has(error) || failures >= MOST_FAILURES) return { state: 'failed', message };
  return { state: 'due', message, spent: !simulated, renewConsent: error.startsWith('Consent') || error === 'NotEntitled' };
};
