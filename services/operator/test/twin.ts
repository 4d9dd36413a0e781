import { createHash } from 'node:crypto';

import { differences } from '@cupel/kube/differences';
import { FINALIZER_CHAIN } from '@cupel/protocol/crd/definition';
import { modelProvider } from '@cupel/protocol/crd/objects';
import type { ModelProviderStatus } from '@cupel/protocol/crd/model-provider';
import type { Hex } from '@cupel/protocol/hex';
import { baseUnits } from '@cupel/protocol/money';
import type { Engine, ProbeValue } from '@cupel/protocol/wire/bus';

import type { ChainEntry, ObservedAnswer, ObservedKey, Settings } from '../src/reconcilers/modelprovider/observed.ts';
import type { ChainAction, Child, Note } from '../src/reconcilers/modelprovider/plan.ts';
import { ChainNotReadable } from '../src/reconcilers/modelprovider/ports.ts';
import type { ModelProviderPorts, ObjectKey } from '../src/reconcilers/modelprovider/ports.ts';
import { ANNOTATION_TEMPLATE } from '../src/reconcilers/modelprovider/render.ts';
import { reconcileModelProvider } from '../src/reconcilers/modelprovider/reconcile.ts';

export const OPERATOR: Hex = `0x${'0e'.repeat(20)}`;
export const OWNER: Hex = `0x${'0a'.repeat(20)}`;
export const PAYOUT: Hex = `0x${'0b'.repeat(20)}`;
export const SHA = 'ab'.repeat(32);
export const ROOT: Hex = `0x${'cd'.repeat(32)}`;
export const NAME: ObjectKey = { namespace: 'honest', name: 'digits' };

export const settings: Settings = {
  images: { engines: { LlamaCpp: 'llm:1', Integer: '' }, verify: 'cupel:1' },
  drainMs: 5000,
  digest: (text) => createHash('sha256').update(text).digest('hex').slice(0, 16),
};

/** Thrown where a test lets the process die. */
export class Killed extends Error {}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export const specOf = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  marketRef: { name: 'local' },
  edgeRef: { name: 'edge' },
  endpoint: { url: 'http://edge.honest.svc' },
  identity: {
    ownerAddress: OWNER,
    operatorKeyRef: { name: 'operator-key', key: 'key' },
    receiptSignerAddress: PAYOUT,
    payoutAddress: PAYOUT,
  },
  model: { name: 'digits', manifest: { sha256: SHA }, source: { pvc: { claimName: 'digits' } } },
  engine: { type: 'Integer' },
  pricing: { perRequest: '0.001' },
  verification: { mode: 'IntegerExecution' },
  stake: { amount: '100' },
  ...changes,
});

interface TwinObject {
  metadata: {
    name: string;
    namespace: string;
    uid: string;
    generation: number;
    finalizers?: string[];
    annotations?: Record<string, string>;
    deletionTimestamp?: string;
  };
  spec: Record<string, unknown>;
  status?: ModelProviderStatus;
}

/** A cluster, a chain and a bus as plain data, with just the behavior that the reconciler meets. */
export class Twin {
  nowMs = Date.parse('2026-11-24T12:00:00Z');
  object: TwinObject | undefined = { metadata: { ...NAME, uid: 'u1', generation: 1 }, spec: specOf() };
  market: unknown = {
    metadata: { name: 'local' },
    spec: {
      chain: { id: 1, finality: 'Safe' },
      rpc: [{ name: 'a', url: 'http://a' }],
      contracts: Object.fromEntries(
        ['stakeToken', 'paymentToken', 'stakeVault', 'modelRegistry', 'paymentChannels', 'claimManager', 'disputeManager'].map((n) => [
          n,
          OWNER,
        ]),
      ),
      allowedNamespaces: { from: 'All' },
    },
    status: {
      conditions: [{ type: 'Ready', status: 'True', reason: 'Ready', message: '', lastTransitionTime: '2026-11-24T11:00:00Z' }],
    },
  };
  pool: unknown;
  namespace: { metadata: { labels: Record<string, string>; deletionTimestamp?: string } } = { metadata: { labels: {} } };
  key: ObservedKey = { state: 'present', address: OPERATOR, held: false };
  children = new Map<string, Child>();
  verify: { exitCode: number; message: string } | undefined;
  podsReady = true;
  reachable = true;
  chain: Mutable<ChainEntry> = {
    provider: { operator: OPERATOR, payout: PAYOUT },
    model: { status: 'none', latestVersion: 0, registeredAtBlock: 0, faults: 0 },
    version: undefined,
    prices: { inputPerMillion: baseUnits(0n), outputPerMillion: baseUnits(0n), perRequest: baseUnits(0n) },
    endpoint: '',
    stake: { free: 0n, locked: 0n, unbonding: 0n, unbondEnd: 0, bond: 0n },
    minStake: 10n ** 18n,
    minBond: 5_000_000n,
    decimals: { stake: 18, payment: 6 },
    balances: { native: 10n ** 18n, stake: 1000n * 10n ** 18n, payment: 1_000_000_000n },
    headTimestamp: Math.floor(this.nowMs / 1000),
  };
  engines = new Map<Hex, Engine>();
  answer: { workload: string; answer: ObservedAnswer } | undefined;
  /** The output that the engine gives; undefined: the edge is away. */
  output: Hex | undefined = '0xbb';
  /** What a chat engine says. */
  chat: ProbeValue | undefined;
  sent: ChainAction[] = [];
  notes: Note[] = [];
  writes: string[] = [];
  /** Dies before the n-th write from now, once. */
  killIn = Number.POSITIVE_INFINITY;

  private write(what: string): void {
    if (--this.killIn < 0) {
      this.killIn = Number.POSITIVE_INFINITY;
      throw new Killed(what);
    }
    this.writes.push(what);
  }

  get template(): string | undefined {
    const deployment = this.children.get('Deployment');
    const spec = deployment?.['spec'] as { template: { metadata: { annotations: Record<string, string> } } } | undefined;
    return spec?.template.metadata.annotations[ANNOTATION_TEMPLATE];
  }

  get replicas(): number {
    return (this.children.get('Deployment')?.['spec'] as { replicas: number } | undefined)?.replicas ?? 0;
  }

  /** What the API server does when nothing holds an object any more. */
  private collect(): void {
    if (this.object?.metadata.deletionTimestamp !== undefined && (this.object.metadata.finalizers ?? []).length === 0)
      this.object = undefined;
  }

  private transact(action: ChainAction): void {
    const { chain } = this;
    switch (action.kind) {
      case 'register':
        if (chain.model.status !== 'none') throw new Error('AlreadyRegistered');
        chain.model = { status: 'active', latestVersion: 1, registeredAtBlock: 7, faults: 0 };
        chain.version = { versionId: `0x${'01'.repeat(32)}`, ...action.terms };
        chain.prices = action.prices;
        chain.endpoint = action.endpoint;
        return;
      case 'addVersion':
        chain.model = { ...chain.model, latestVersion: chain.model.latestVersion + 1 };
        chain.version = { versionId: `0x${'02'.repeat(32)}`, ...action.terms };
        return;
      case 'setPrices':
        chain.prices = action.prices;
        return;
      case 'setEndpoint':
        chain.endpoint = action.url;
        return;
      case 'deposit':
        chain.stake = { ...chain.stake, free: chain.stake.free + action.stake, bond: chain.stake.bond + action.bond };
        return;
      case 'retire':
        chain.model = { ...chain.model, status: 'retired' };
        chain.stake = { ...chain.stake, free: 0n, unbonding: chain.stake.free, unbondEnd: chain.headTimestamp + 600 };
        return;
      case 'withdrawStake':
        chain.stake = { free: 0n, locked: 0n, unbonding: 0n, unbondEnd: 0, bond: 0n };
        return;
    }
  }

  readonly ports: ModelProviderPorts = {
    nowMs: () => this.nowMs,
    modelId: (owner, slug) =>
      `0x${createHash('sha256')
        .update(owner + slug)
        .digest('hex')}`,
    cluster: {
      modelProvider: () => structuredClone(this.object),
      market: () => this.market,
      pool: () => this.pool,
      namespace: () => this.namespace,
      deployment: () => {
        const live = this.children.get('Deployment');
        if (live === undefined) return undefined;
        const ready = this.podsReady && this.verify?.exitCode === 0 ? this.replicas : 0;
        return {
          ...live,
          metadata: { ...live.metadata, generation: 1 },
          status: {
            observedGeneration: 1,
            replicas: this.replicas,
            readyReplicas: ready,
            updatedReplicas: this.replicas,
            availableReplicas: ready,
          },
        };
      },
      pods: () =>
        this.template === undefined
          ? []
          : Array.from({ length: this.replicas }, (_, i) => ({
              metadata: { name: `digits-${i}`, uid: `pod-${i}`, annotations: { [ANNOTATION_TEMPLATE]: this.template } },
              spec: { nodeName: 'n1' },
              status: {
                phase: 'Running',
                conditions: [{ type: 'Ready', status: this.podsReady ? 'True' : 'False' }],
                initContainerStatuses: this.verify === undefined ? [] : [{ name: 'verify', state: { terminated: this.verify } }],
              },
            })),
      operatorKey: () => Promise.resolve(this.key),
      holdObject: async () => {
        this.write('holdObject');
        if (this.object) this.object.metadata.finalizers = [FINALIZER_CHAIN];
      },
      holdKey: async () => {
        this.write('holdKey');
        if (this.key.state === 'present') this.key = { ...this.key, held: true };
      },
      letGo: async () => {
        this.write('releaseKey');
        if (this.key.state === 'present') this.key = { ...this.key, held: false };
        this.write('letGo');
        if (this.object) this.object.metadata.finalizers = [];
        this.collect();
      },
      ensureChildren: async (children) => {
        let changed = false;
        for (const child of children) {
          const live = this.children.get(child.kind);
          if (live !== undefined && differences(child, live).length === 0) continue;
          this.write(`apply ${child.kind}`);
          this.children.set(child.kind, structuredClone(child));
          changed = true;
        }
        return changed;
      },
      writeStatus: async (_name, status) => {
        if (this.object === undefined || JSON.stringify(this.object.status) === JSON.stringify(status)) return;
        this.write('status');
        this.object.status = status;
      },
      tell: (_name, notes) => {
        this.notes.push(...notes);
      },
    },
    chain: {
      entry: async () => {
        if (!this.reachable) throw new ChainNotReadable('connection refused');
        return structuredClone(this.chain);
      },
      send: async (_market, _key, _model, action) => {
        this.write(`send ${action.kind}`);
        this.transact(action);
        this.sent.push(action);
        // The worst moment to die: mined, and nobody knows.
        this.write(`mined ${action.kind}`);
        return { ok: true };
      },
    },
    engines: {
      get: (_namespace, _edge, modelId) => Promise.resolve(this.engines.get(modelId)),
      publish: async (_namespace, _edge, engine) => {
        this.write('publishEngine');
        this.engines.set(engine.modelId, engine);
      },
      withdraw: async (_namespace, _edge, modelId) => {
        this.write('withdrawEngine');
        this.engines.delete(modelId);
      },
    },
    probes: {
      last: (_object, workload) => (this.answer?.workload === workload ? this.answer.answer : { state: 'unasked' }),
      ask: async (_object, _edge, workload, request) => {
        const answer: ObservedAnswer =
          this.output === undefined
            ? { state: 'failed', message: 'edge "edge" does not answer on the bus', atMs: this.nowMs }
            : { state: 'answered', input: request.input, value: this.chat ?? { output: this.output, latencyMs: 1 }, atMs: this.nowMs };
        this.answer = { workload, answer };
      },
      forget: () => {
        this.answer = undefined;
      },
    },
  };

  constructor() {
    this.verify = { exitCode: 0, message: verifiedText() };
  }

  delete(): void {
    if (this.object) this.object.metadata.deletionTimestamp = new Date(this.nowMs).toISOString();
    this.collect();
  }

  edit(spec: Record<string, unknown>): void {
    if (!this.object) throw new Error('gone');
    this.object.spec = { ...this.object.spec, ...spec };
    this.object.metadata.generation += 1;
    modelProvider.parse(this.object);
  }

  /** Reconciles until nothing is written any more; a death only loses the memory of the process. */
  async settle(limit = 40): Promise<void> {
    const reconcile = reconcileModelProvider(this.ports, settings);
    for (let pass = 0; pass < limit; pass++) {
      const before = this.writes.length + this.sent.length;
      const asked = this.answer;
      let lookAgainInMs: number | undefined;
      try {
        ({ lookAgainInMs } = await reconcile(NAME));
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
        this.answer = undefined;
        continue;
      }
      if (this.writes.length + this.sent.length === before && this.answer === asked) return;
      this.nowMs += Math.min(lookAgainInMs ?? 100, 6000);
    }
    throw new Error(`not settled after ${limit} passes; last writes: ${this.writes.slice(-6).join(', ')}`);
  }

  condition(type: string): { status: string; reason: string; message: string } | undefined {
    return this.object?.status?.conditions?.find((condition) => condition.type === type);
  }
}

export const verifiedText = (changes: object = {}): string =>
  JSON.stringify({
    manifestSha256: SHA,
    verificationRoot: ROOT,
    probe: { inputHex: '0xaa', outputHex: '0xbb' },
    files: 2,
    bytes: 17_424,
    ...changes,
  });
