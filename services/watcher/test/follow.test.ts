import type { MarketEvent } from '@cupel/chain/events';
import type { Hex } from '@cupel/protocol/hex';
import { baseUnits } from '@cupel/protocol/money';
import { encodeJson } from '@cupel/protocol/wire/scalars';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { openUndoJournal } from '../src/io/journal.ts';
import { allEntries, entriesOf } from '../src/project/publish.ts';
import type { Entry } from '../src/project/publish.ts';
import { createFollower } from '../src/tail/follow.ts';
import type { Projections } from '../src/tail/follow.ts';
import { SimulatedChain } from './simulated-chain.ts';

const id = (n: number): Hex => `0x${n.toString(16).padStart(64, '0')}`;
const account = (n: number): Hex => `0x${n.toString(16).padStart(40, '0')}`;
const price = baseUnits(100n);

const descriptor = (n: number) => ({
  payer: account(1),
  payee: account(2),
  token: account(3),
  signerKind: 0,
  signer: account(4),
  withdrawDelay: 86_400,
  salt: id(n),
});

const small = fc.integer({ min: 1, max: 3 });
const amount = fc.bigInt({ min: 1n, max: 1000n });
const anyEvent: fc.Arbitrary<MarketEvent> = fc.oneof(
  fc.record({
    name: fc.constant('ProviderSet' as const),
    owner: small.map(account),
    operator: small.map(account),
    payout: small.map(account),
  }),
  fc.record({
    name: fc.constant('ModelRegistered' as const),
    modelId: small.map(id),
    owner: small.map(account),
    slug: fc.constant('ns/name'),
  }),
  fc.record({
    name: fc.constant('VersionAdded' as const),
    modelId: small.map(id),
    versionId: small.map(id),
    number: small,
    manifestHash: small.map(id),
    verificationRoot: small.map(id),
    mode: fc.constant('IntegerExecution' as const),
    arbiter: small.map(account),
  }),
  fc.record({
    name: fc.constant('PricesSet' as const),
    modelId: small.map(id),
    prices: fc.constant({ inputPerMillion: price, outputPerMillion: price, perRequest: price }),
  }),
  fc.record({ name: fc.constant('ModelSuspended' as const), modelId: small.map(id), faults: small }),
  fc.record({ name: fc.constant('ModelRetired' as const), modelId: small.map(id) }),
  fc.record({ name: fc.constant('Deposited' as const), modelId: small.map(id), from: small.map(account), stake: amount, bond: amount }),
  fc.record({ name: fc.constant('Locked' as const), modelId: small.map(id), amount }),
  fc.record({ name: fc.constant('Unlocked' as const), modelId: small.map(id), amount }),
  fc.record({
    name: fc.constant('Slashed' as const),
    modelId: small.map(id),
    total: amount,
    toChallenger: amount,
    toBeneficiary: amount,
    burned: amount,
  }),
  fc.record({
    name: fc.constant('ChannelOpened' as const),
    channelId: small.map(id),
    payer: small.map(account),
    payee: small.map(account),
    descriptor: small.map(descriptor),
    amount,
  }),
  fc.record({
    name: fc.constant('Redeemed' as const),
    payee: small.map(account),
    token: small.map(account),
    paid: amount,
    rows: fc.array(fc.record({ channelId: small.map(id), settled: amount }), { maxLength: 2 }),
  }),
  fc.record({ name: fc.constant('ExitStarted' as const), channelId: small.map(id), closeAt: small }),
  fc.record({
    name: fc.constant('RootPosted' as const),
    claimId: small.map(id),
    versionId: small.map(id),
    root: small.map(id),
    count: small,
    maxPrice: amount,
    locked: amount,
    finalizableAt: small,
  }),
  fc.record({ name: fc.constant('ClaimFinalized' as const), claimId: small.map(id) }),
  fc.record({
    name: fc.constant('Challenged' as const),
    receiptDigest: small.map(id),
    modelId: small.map(id),
    challenger: small.map(account),
  }),
);

/** Keeps what the key-value store would hold. */
const memoryProjections = (): Projections & { readonly store: Map<string, string>; failing: boolean } => {
  const store = new Map<string, string>();
  const put = ({ bucket, key, value }: Entry): void =>
    void (value === undefined ? store.delete(`${bucket}/${key}`) : store.set(`${bucket}/${key}`, encodeJson(value)));
  return {
    store,
    failing: false,
    async write(rows, changes) {
      if (this.failing) throw new Error('the bus is away');
      entriesOf(rows, changes).forEach(put);
    },
    async writeHeads({ latest }) {
      store.set('head/latest', String(latest.number));
    },
  };
};

const quiet = { applied: () => undefined, undone: () => undefined, halted: () => undefined, odd: () => undefined };

const start = (chain: SimulatedChain) => {
  const journal = openUndoJournal(':memory:', 'test');
  const projections = memoryProjections();
  const odd: string[] = [];
  const follower = createFollower({ chain, journal, projections, startBlock: 0, observer: { ...quiet, odd: (p) => void odd.push(p) } });
  return { journal, projections, follower, odd };
};

const published = (entries: readonly Entry[]): Map<string, string> =>
  new Map(entries.flatMap(({ bucket, key, value }) => (value === undefined ? [] : [[`${bucket}/${key}`, encodeJson(value)]])));

describe('the follower', () => {
  it('ends, after any reorganisations, failures and lags, where a clean replay ends', async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant('grow' as const), events: fc.array(anyEvent, { maxLength: 4 }) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('reorg' as const), depth: fc.integer({ min: 1, max: 12 }) }) },
      {
        weight: 3,
        arbitrary: fc.record({ do: fc.constant('pass' as const), failing: fc.boolean(), behind: fc.integer({ min: 0, max: 6 }) }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const chain = new SimulatedChain(12);
        const { journal, projections, follower } = start(chain);
        for (const s of steps) {
          if (s.do === 'grow') chain.grow(s.events);
          else if (s.do === 'reorg') {
            chain.cut(s.depth);
            chain.grow([]);
          } else {
            projections.failing = s.failing;
            chain.lagTo = s.behind === 0 ? undefined : Math.max(0, (await chain.heads()).latest.number - s.behind);
            await follower.pass().catch(() => undefined);
            chain.lagTo = undefined;
            projections.failing = false;
          }
        }
        await follower.pass();
        const clean = start(chain);
        await clean.follower.pass();
        expect(follower.problem()).toBeUndefined();
        expect(journal.tip()).toEqual(clean.journal.tip());
        expect(published(allEntries(journal))).toEqual(published(allEntries(clean.journal)));
        expect(projections.store).toEqual(clean.projections.store);
        journal[Symbol.dispose]();
        clean.journal[Symbol.dispose]();
      }),
      { numRuns: 150 },
    );
  });

  it('reads a long finalized past in ranges to the same end as block by block', async () => {
    const chain = new SimulatedChain(5);
    const slow = start(chain);
    for (let i = 1; i <= 120; i++) {
      chain.grow([{ name: 'Deposited', modelId: id(1 + (i % 3)), from: account(1), stake: BigInt(i), bond: 1n }]);
      if (i % 4 === 0) await slow.follower.pass();
    }
    await slow.follower.pass();
    const fast = start(chain);
    await fast.follower.pass();
    expect(fast.projections.store).toEqual(slow.projections.store);
    expect(fast.journal.hashAt(60)).toBeUndefined();
    expect(slow.journal.hashAt(60)).toBeDefined();
  });

  it('shows a model only when its registration is complete, with its provider, and changes with the provider', async () => {
    const chain = new SimulatedChain(5);
    const { follower, projections } = start(chain);
    const registered: MarketEvent = { name: 'ModelRegistered', modelId: id(7), owner: account(9), slug: 'honest/digits' };
    chain.grow([registered]);
    await follower.pass();
    expect(projections.store.has(`registry/${id(7).slice(2)}`)).toBe(false);
    chain.grow([
      {
        name: 'VersionAdded',
        modelId: id(7),
        versionId: id(8),
        number: 1,
        manifestHash: id(5),
        verificationRoot: id(6),
        mode: 'IntegerExecution',
        arbiter: account(3),
      },
      { name: 'PricesSet', modelId: id(7), prices: { inputPerMillion: price, outputPerMillion: price, perRequest: price } },
      { name: 'EndpointSet', modelId: id(7), url: 'https://edge' },
      { name: 'ProviderSet', owner: account(9), operator: account(10), payout: account(11) },
    ]);
    await follower.pass();
    const entry = () => JSON.parse(projections.store.get(`registry/${id(7).slice(2)}`)!) as Record<string, unknown>;
    expect(entry()).toMatchObject({
      slug: 'honest/digits',
      endpoint: 'https://edge',
      payout: account(11),
      manifestSha256: id(5).slice(2),
      status: 'active',
    });
    chain.grow([{ name: 'ProviderSet', owner: account(9), operator: account(10), payout: account(12) }]);
    chain.grow([{ name: 'ModelSuspended', modelId: id(7), faults: 1 }]);
    await follower.pass();
    expect(entry()).toMatchObject({ payout: account(12), status: 'suspended', faults: 1 });
  });

  it('takes stake from free, then unbonding, then locked, as the vault does', async () => {
    const chain = new SimulatedChain(5);
    const { follower, journal } = start(chain);
    const modelId = id(1);
    chain.grow([
      { name: 'Deposited', modelId, from: account(1), stake: 100n, bond: 10n },
      { name: 'Locked', modelId, amount: 40n },
      { name: 'Slashed', modelId, total: 50n, toChallenger: 5n, toBeneficiary: 10n, burned: 35n },
      { name: 'UnbondingStarted', modelId, amount: 10n, endsAt: 99 },
      { name: 'Unlocked', modelId, amount: 15n },
      { name: 'Slashed', modelId, total: 30n, toChallenger: 3n, toBeneficiary: 6n, burned: 21n },
      { name: 'BondRefunded', modelId, receiptDigest: id(2), beneficiary: account(1), amount: 4n },
    ]);
    await follower.pass();
    expect(journal.get('stakes', modelId)).toEqual({ free: 0n, locked: 20n, unbonding: 0n, unbondEnd: 99, bond: 6n, slashed: 80n });
  });

  it('halts when the node replaces what was final, rewrites nothing, and goes on when the node recovers', async () => {
    const chain = new SimulatedChain(3);
    const { follower, journal, projections } = start(chain);
    for (let i = 0; i < 10; i++) chain.grow([{ name: 'Deposited', modelId: id(1), from: account(1), stake: 1n, bond: 0n }]);
    await follower.pass();
    const before = new Map(projections.store);
    const recover = chain.remember();
    chain.cutDeep(8);
    for (let i = 0; i < 12; i++) chain.grow([]);
    await follower.pass();
    expect(follower.problem()).toMatch(/which was final/);
    // Only what was not final yet is taken back.
    expect(journal.get('stakes', id(1))?.free).toBe(7n);
    recover();
    await follower.pass();
    expect(follower.problem()).toBeUndefined();
    expect(projections.store).toEqual(before);
  });

  it('ignores a node that is behind', async () => {
    const chain = new SimulatedChain(3);
    const { follower, journal, odd } = start(chain);
    for (let i = 0; i < 10; i++) chain.grow([]);
    await follower.pass();
    chain.lagTo = 6;
    await follower.pass();
    expect(journal.tip()?.number).toBe(10);
    expect(odd[0]).toMatch(/the node is behind: its head is 6, ours is 10/);
  });
});
