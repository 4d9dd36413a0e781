import type { MarketEvent } from '@cupel/chain/events';
import type { Hex } from '@cupel/protocol/hex';

import type { AnyRow, Change, Row, Rows, Table } from './rows.ts';

export interface EventAt {
  readonly event: MarketEvent;
  readonly blockNumber: number;
  readonly transactionHash: Hex;
}

/** The changes that the events of one block make, each row once: first state before, last state after. */
export const reduceBlock = (rows: Pick<Rows, 'get'>, events: readonly EventAt[]): Change[] => {
  const touched = new Map<string, Change>();
  const draft: Draft = {
    get(table, key) {
      const change = touched.get(`${table}\n${key}`);
      return change ? (change.after as Row<typeof table> | undefined) : rows.get(table, key);
    },
    set(table, key, after) {
      const id = `${table}\n${key}`;
      const before = touched.has(id) ? touched.get(id)!.before : rows.get(table, key);
      touched.set(id, { table, key, before, after });
    },
  };
  for (const at of events) applyEvent(draft, at);
  return [...touched.values()];
};

/** The way back, last change first. */
export const inverse = (changes: readonly Change[]): Change[] =>
  changes.toReversed().map(({ table, key, before, after }) => ({ table, key, before: after, after: before }));

interface Draft {
  get<T extends Table>(table: T, key: Hex): Row<T> | undefined;
  set(table: Table, key: Hex, after: AnyRow): void;
}

const applyEvent = (draft: Draft, { event, blockNumber, transactionHash }: EventAt): void => {
  /** An event about a row that was never made comes from before our start block, and is left out. */
  const update = <T extends Table>(table: T, key: Hex, change: (row: Row<T>) => Partial<Row<T>>): void => {
    const row = draft.get(table, key);
    if (row) draft.set(table, key, { ...row, ...change(row) });
  };
  switch (event.name) {
    case 'ProviderSet':
      return draft.set('providers', event.owner, { operator: event.operator, payout: event.payout });
    case 'ModelRegistered':
      return draft.set('models', event.modelId, {
        modelId: event.modelId,
        owner: event.owner,
        slug: event.slug,
        endpoint: '',
        specializations: [],
        status: 'active',
        faults: 0,
        registeredAtBlock: blockNumber,
      });
    case 'VersionAdded': {
      const { versionId, number, manifestHash, verificationRoot, mode, arbiter } = event;
      return update('models', event.modelId, () => ({ version: { versionId, number, manifestHash, verificationRoot, mode, arbiter } }));
    }
    case 'PricesSet':
      return update('models', event.modelId, () => ({ prices: event.prices }));
    case 'EndpointSet':
      return update('models', event.modelId, () => ({ endpoint: event.url }));
    case 'SpecializationsSet':
      return update('models', event.modelId, () => ({ specializations: [...event.tags] }));
    case 'ModelRetired':
      return update('models', event.modelId, () => ({ status: 'retired' as const }));
    case 'ModelSuspended':
      return update('models', event.modelId, (row) => ({
        faults: event.faults,
        status: row.status === 'active' ? ('suspended' as const) : row.status,
      }));
    case 'Deposited':
    case 'Locked':
    case 'Unlocked':
    case 'UnbondingStarted':
    case 'Withdrawn':
    case 'Slashed':
    case 'BondRefunded':
      return draft.set('stakes', event.modelId, stakeAfter(draft.get('stakes', event.modelId) ?? NO_STAKE, event));
    case 'ChannelOpened':
      return draft.set('channels', event.channelId, {
        version: 1,
        channelId: event.channelId,
        descriptor: { ...event.descriptor, signerKind: 0 },
        deposit: event.amount,
        settled: 0n,
        closeAt: 0,
        status: 'open',
        openedAtBlock: blockNumber,
      });
    case 'ToppedUp':
      return update('channels', event.channelId, () => ({ deposit: event.deposit }));
    case 'Redeemed':
      for (const row of event.rows) update('channels', row.channelId, () => ({ settled: row.settled }));
      return;
    case 'ExitStarted':
      return update('channels', event.channelId, () => ({ closeAt: event.closeAt, status: 'closing' as const }));
    case 'ChannelClosed':
      return update('channels', event.channelId, () => ({ settled: event.settled, deposit: event.settled, status: 'closed' as const }));
    case 'RootPosted':
      return draft.set('claims', event.claimId, {
        version: 1,
        claimId: event.claimId,
        versionId: event.versionId,
        root: event.root,
        count: event.count,
        maxPrice: event.maxPrice,
        locked: event.locked,
        finalizableAt: event.finalizableAt,
        status: 'open',
        postedTx: transactionHash,
      });
    case 'ClaimFinalized':
      return update('claims', event.claimId, () => ({ status: 'final' as const }));
    case 'Challenged': {
      const { receiptDigest, modelId, challenger } = event;
      if (draft.get('disputes', receiptDigest)) return;
      return draft.set('disputes', receiptDigest, {
        version: 1,
        receiptDigest,
        modelId,
        challenger,
        status: 'open',
        slashed: 0n,
        refund: 0n,
        tx: transactionHash,
      });
    }
    case 'Upheld': {
      const { receiptDigest, modelId, challenger, beneficiary, slashed, refund } = event;
      return draft.set('disputes', receiptDigest, {
        version: 1,
        receiptDigest,
        modelId,
        challenger,
        beneficiary,
        status: 'upheld',
        slashed,
        refund,
        tx: transactionHash,
      });
    }
    case 'RefundWithdrawn':
    case 'RedeemerSet':
      return;
  }
};

type StakeEvent = Extract<
  MarketEvent,
  { name: 'Deposited' | 'Locked' | 'Unlocked' | 'UnbondingStarted' | 'Withdrawn' | 'Slashed' | 'BondRefunded' }
>;

const NO_STAKE: Row<'stakes'> = { free: 0n, locked: 0n, unbonding: 0n, unbondEnd: 0, bond: 0n, slashed: 0n };

/** StakeVault.sol, in events: unlocked stake goes where the exit is; a slash takes free, then unbonding, then locked stake. */
const stakeAfter = (s: Row<'stakes'>, event: StakeEvent): Row<'stakes'> => {
  switch (event.name) {
    case 'Deposited':
      return { ...s, free: s.free + event.stake, bond: s.bond + event.bond };
    case 'Locked':
      return { ...s, free: minus(s.free, event.amount), locked: s.locked + event.amount };
    case 'Unlocked':
      return s.unbondEnd === 0
        ? { ...s, locked: minus(s.locked, event.amount), free: s.free + event.amount }
        : { ...s, locked: minus(s.locked, event.amount), unbonding: s.unbonding + event.amount };
    case 'UnbondingStarted':
      return { ...s, free: minus(s.free, event.amount), unbonding: s.unbonding + event.amount, unbondEnd: event.endsAt };
    case 'Withdrawn':
      return { ...s, unbonding: minus(s.unbonding, event.stake), bond: minus(s.bond, event.bond) };
    case 'BondRefunded':
      return { ...s, bond: minus(s.bond, event.amount) };
    case 'Slashed': {
      const fromFree = least(event.total, s.free);
      const fromUnbonding = least(event.total - fromFree, s.unbonding);
      const fromLocked = event.total - fromFree - fromUnbonding;
      return {
        ...s,
        free: s.free - fromFree,
        unbonding: s.unbonding - fromUnbonding,
        locked: minus(s.locked, fromLocked),
        slashed: s.slashed + event.total,
      };
    }
  }
};

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
/** Never below zero: events before our start block may be missing. */
const minus = (a: bigint, b: bigint): bigint => (a < b ? 0n : a - b);
