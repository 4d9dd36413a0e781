import type { Market } from '@cupel/protocol/crd/objects';
import type { ModelProviderStatus } from '@cupel/protocol/crd/model-provider';
import type { Hex } from '@cupel/protocol/hex';
import type { Engine, ProbeRequest } from '@cupel/protocol/wire/bus';

import type { ChainEntry, ObservedAnswer, ObservedKey } from './observed.ts';
import type { ChainAction, Child, Note } from './plan.ts';

/** What the reconciler needs of the world; implemented in io/. */
export interface ObjectKey {
  readonly namespace: string;
  readonly name: string;
}

export interface KeyReference extends ObjectKey {
  readonly key: string;
}

/** Objects as the informers have them; `unknown`, since what a cluster holds is parsed before it is believed. */
export interface ClusterReader {
  modelProvider(name: ObjectKey): unknown;
  market(name: string): unknown;
  pool(name: string): unknown;
  namespace(name: string): unknown;
  deployment(name: ObjectKey): unknown;
  /** Pods with the label of this ModelProvider. */
  pods(name: ObjectKey): readonly unknown[];
  /** The address behind a key; the key itself stays where it is. */
  operatorKey(reference: KeyReference): Promise<ObservedKey>;
}

export interface ClusterWriter {
  holdObject(name: ObjectKey): Promise<void>;
  holdKey(reference: KeyReference): Promise<void>;
  /** Takes the finalizers off: the Secret's, unless another ModelProvider of the namespace uses it, then the object's. */
  letGo(name: ObjectKey, key: KeyReference | undefined): Promise<void>;
  /** Whether anything had to be changed. */
  ensureChildren(children: readonly Child[]): Promise<boolean>;
  writeStatus(name: ObjectKey, status: ModelProviderStatus): Promise<void>;
  tell(name: ObjectKey, notes: readonly Note[]): void;
}

/** The chain cannot be read now; the message says why. */
export class ChainNotReadable extends Error {
  override readonly name = 'ChainNotReadable';
}

export type SendResult = { readonly ok: true } | { readonly ok: false; readonly reason: string; readonly message: string };

export interface ChainPort {
  /** Throws {@link ChainNotReadable}. `account`: whose balances to read. */
  entry(market: Market, query: { readonly owner: Hex; readonly modelId: Hex; readonly account: Hex | undefined }): Promise<ChainEntry>;
  /** Sends one transaction and waits for its block. */
  send(market: Market, key: KeyReference, model: { readonly owner: Hex; readonly modelId: Hex }, action: ChainAction): Promise<SendResult>;
}

/** What edges know of their engines: one list per edge, written by the operator alone. */
export interface EnginesPort {
  get(namespace: string, edge: string, modelId: Hex): Promise<Engine | undefined>;
  publish(namespace: string, edge: string, engine: Engine): Promise<void>;
  withdraw(namespace: string, edge: string, modelId: Hex): Promise<void>;
}

export interface ProbePort {
  /** What is remembered of the last probe of these pods. */
  last(object: ObjectKey, workload: string): ObservedAnswer;
  /** Asks the edge and remembers what came of it; never throws. */
  ask(object: ObjectKey, edge: string, workload: string, request: ProbeRequest): Promise<void>;
  forget(object: ObjectKey): void;
}

export interface ModelProviderPorts {
  readonly nowMs: () => number;
  /** keccak256(owner, slug). */
  readonly modelId: (owner: Hex, slug: string) => Hex;
  readonly cluster: ClusterReader & ClusterWriter;
  readonly chain: ChainPort;
  readonly engines: EnginesPort;
  readonly probes: ProbePort;
}
