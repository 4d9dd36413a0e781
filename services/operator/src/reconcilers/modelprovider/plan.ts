import type { ModelProviderStatus } from '@cupel/protocol/crd/model-provider';
import type { Hex } from '@cupel/protocol/hex';
import type { Prices } from '@cupel/protocol/money';
import type { Engine, ProbeRequest } from '@cupel/protocol/wire/bus';
import type { Mode } from '@cupel/protocol/wire/projections';

export interface Terms {
  readonly manifestHash: Hex;
  readonly verificationRoot: Hex;
  readonly mode: Mode;
}

/** A Kubernetes object that must look like this in the fields it has. */
export interface Child {
  readonly apiVersion: string;
  readonly kind: 'ServiceAccount' | 'NetworkPolicy' | 'Service' | 'Deployment';
  readonly metadata: { readonly name: string; readonly namespace: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

/** `id` names the effect: two plans with one id mean one transaction. */
export type ChainAction = { readonly id: string } & (
  | {
      readonly kind: 'register';
      readonly slug: string;
      readonly terms: Terms;
      readonly prices: Prices;
      readonly endpoint: string;
      readonly specializations: readonly string[];
    }
  | { readonly kind: 'addVersion'; readonly terms: Terms }
  | { readonly kind: 'setPrices'; readonly prices: Prices }
  | { readonly kind: 'setEndpoint'; readonly url: string }
  /** Together with the exact approvals that it needs: ModelProviders with one key would overwrite each other's. */
  | { readonly kind: 'deposit'; readonly stake: bigint; readonly bond: bigint }
  | { readonly kind: 'retire' }
  | { readonly kind: 'withdrawStake' }
);

export type ClusterAction =
  | { readonly kind: 'holdObject' }
  | { readonly kind: 'holdKey' }
  /** Children that are already as wanted cost no call. */
  | { readonly kind: 'ensureChildren'; readonly children: readonly Child[] }
  | { readonly kind: 'probe'; readonly workload: string; readonly request: ProbeRequest }
  | { readonly kind: 'publishEngine'; readonly engine: Engine }
  | { readonly kind: 'withdrawEngine' }
  /** Releases the key's Secret if no other ModelProvider uses it, then the object. */
  | { readonly kind: 'letGo' };

/** `condition`: the condition that tells the failure of this action. */
export type Action = { readonly condition: ConditionType } & (ClusterAction | ChainAction);

export const CONDITION_TYPES = [
  'Accepted',
  'Placed',
  'ManifestVerified',
  'WorkloadReady',
  'AnswerSeen',
  'Registered',
  'Staked',
  'EndpointPublished',
  'Ready',
] as const;
export const ABNORMAL_TYPES = ['Reconciling', 'Stalled', 'Slashed'] as const;
export type ConditionType = (typeof CONDITION_TYPES)[number];
export type AbnormalType = (typeof ABNORMAL_TYPES)[number];

/** What a step found. `Unknown`: not looked at, for want of an earlier step. */
export interface Finding {
  readonly type: ConditionType | AbnormalType;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

/** An event to tell; written once per change. */
export interface Note {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** Everything that follows from one observation. Actions run in order; the first failure ends the run. */
export interface Plan {
  readonly actions: readonly Action[];
  readonly status: ModelProviderStatus | undefined;
  readonly lookAgainInMs: number | undefined;
  readonly notes: readonly Note[];
}
