import type { Condition } from '@cupel/protocol/crd/fields';
import type { GpuNodePool, Market, ModelProvider, ObjectMeta } from '@cupel/protocol/crd/objects';
import type { Hex } from '@cupel/protocol/hex';
import type { Prices } from '@cupel/protocol/money';
import type { Engine, ProbeValue } from '@cupel/protocol/wire/bus';
import type { Mode } from '@cupel/protocol/wire/projections';

import type { Images } from '../../engines/engine.ts';

/** All that one decision rests on: read in one pass by observe.ts, plain data from there on. */
export interface Observed {
  readonly nowMs: number;
  readonly namespace: string;
  readonly name: string;
  readonly object: ObservedObject;
  /** keccak256(owner, "<namespace>/<name>"). */
  readonly modelId: Hex;
  readonly ownNamespace: { readonly labels: Readonly<Record<string, string>>; readonly terminating: boolean };
  readonly market: Market | undefined;
  readonly pool: GpuNodePool | undefined;
  readonly key: ObservedKey;
  readonly workload: ObservedWorkload;
  readonly chain: ObservedChain;
  /** Our entry in the edge's engine list. */
  readonly engine: Engine | undefined;
  readonly answer: ObservedAnswer;
}

/** What does not change while the operator runs. */
export interface Settings {
  readonly images: Images;
  /** How long requests in flight may take after an engine has begun to drain. */
  readonly drainMs: number;
  /** 16 hex digits over a text. */
  readonly digest: (text: string) => string;
}

export type ObservedObject =
  | { readonly valid: true; readonly value: ModelProvider }
  /** Newer or older than this operator: `message` names the field. */
  | {
      readonly valid: false;
      readonly meta: ObjectMeta;
      readonly conditions: readonly Condition[];
      readonly message: string;
    };

/** The Secret behind spec.identity.operatorKeyRef. The key itself never gets here. */
export type ObservedKey =
  | { readonly state: 'missing'; readonly message: string }
  | { readonly state: 'invalid'; readonly message: string }
  | { readonly state: 'present'; readonly address: Hex; readonly held: boolean };

export interface ObservedPod {
  readonly name: string;
  readonly uid: string;
  /** Annotation that names the pod template: pods of an older template do not count. */
  readonly template: string | undefined;
  readonly nodeName: string | undefined;
  readonly ready: boolean;
  readonly deleting: boolean;
  /** Why it waits: "ImagePullBackOff: …", "Unschedulable: …". */
  readonly waiting: string | undefined;
  /** The container `verify`, when it has ended at least once. */
  readonly verify: { readonly exitCode: number; readonly message: string } | undefined;
}

export interface ObservedWorkload {
  readonly deployment:
    | {
        /** Annotation that names its pod template. */
        readonly template: string | undefined;
        /** The Deployment controller has seen its latest spec. */
        readonly observed: boolean;
        readonly replicas: number;
        readonly ready: number;
        readonly updated: number;
        readonly available: number;
      }
    | undefined;
  readonly pods: readonly ObservedPod[];
}

export type ObservedChain =
  | { readonly state: 'unasked' }
  | { readonly state: 'unreachable'; readonly message: string }
  | ({ readonly state: 'read' } & ChainEntry);

/** What the chain says about one model and its provider. */
export interface ChainEntry {
  readonly provider: { readonly operator: Hex; readonly payout: Hex };
  readonly model: {
    readonly status: 'none' | 'active' | 'retired' | 'suspended';
    readonly latestVersion: number;
    readonly registeredAtBlock: number;
    readonly faults: number;
  };
  readonly version:
    | { readonly versionId: Hex; readonly manifestHash: Hex; readonly verificationRoot: Hex; readonly mode: Mode }
    | undefined;
  readonly prices: Prices;
  readonly endpoint: string;
  readonly stake: {
    readonly free: bigint;
    readonly locked: bigint;
    readonly unbonding: bigint;
    readonly unbondEnd: number;
    readonly bond: bigint;
  };
  readonly minStake: bigint;
  readonly minBond: bigint;
  readonly decimals: { readonly stake: number; readonly payment: number };
  /** Of the operator's account; zeros without a key. */
  readonly balances: { readonly native: bigint; readonly stake: bigint; readonly payment: bigint };
  /** Unix seconds of the head. */
  readonly headTimestamp: number;
}

/** The last probe of the current pods, from memory: lost at a restart and then asked again. */
export type ObservedAnswer =
  | { readonly state: 'unasked' }
  | { readonly state: 'failed'; readonly message: string; readonly atMs: number }
  | { readonly state: 'answered'; readonly input: Hex | undefined; readonly value: ProbeValue; readonly atMs: number };
