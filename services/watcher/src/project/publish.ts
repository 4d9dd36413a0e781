import type { Hex } from '@cupel/protocol/hex';
import type { ChannelState, ClaimState, DisputeState, KvBucket, RegistryEntry, StakeState } from '@cupel/protocol/wire/projections';
import { kvKey } from '@cupel/protocol/wire/subjects';

import type { Change, Row, Rows } from './rows.ts';

export interface Published {
  readonly registry: RegistryEntry;
  readonly channels: ChannelState;
  readonly stakes: StakeState;
  readonly claims: ClaimState;
  readonly disputes: DisputeState;
}

export const PROJECTED = ['registry', 'channels', 'stakes', 'claims', 'disputes'] as const satisfies readonly KvBucket[];
export type Projected = (typeof PROJECTED)[number];

/** One key of a bucket as it shall be; undefined: it shall not exist. */
export interface Entry {
  readonly bucket: Projected;
  readonly key: string;
  readonly value: Published[Projected] | undefined;
}

/** The keys that these changes touch, with their values now. */
export const entriesOf = (rows: Rows, changes: readonly Change[]): Entry[] => {
  const models = new Set<Hex>();
  const entries: Entry[] = [];
  for (const { table, key } of changes) {
    if (table === 'models') models.add(key);
    else if (table === 'providers') for (const [id, model] of rows.all('models')) void (model.owner === key && models.add(id));
    else entries.push(entryOf(rows, table, key));
  }
  return [...entries, ...[...models].map((id) => registryEntryOf(rows, id))];
};

/** Every key of every bucket: what a rebuilt store must hold, and nothing else. */
export const allEntries = (rows: Rows): Entry[] => [
  ...[...rows.all('models').keys()].map((id) => registryEntryOf(rows, id)),
  ...(['channels', 'stakes', 'claims', 'disputes'] as const).flatMap((table) =>
    [...rows.all(table).keys()].map((key) => entryOf(rows, table, key)),
  ),
];

const entryOf = (rows: Rows, table: 'channels' | 'stakes' | 'claims' | 'disputes', key: Hex): Entry => {
  if (table !== 'stakes') return { bucket: table, key: kvKey(key), value: rows.get(table, key) };
  const row = rows.get('stakes', key);
  return { bucket: 'stakes', key: kvKey(key), value: row && stakeOf(key, row) };
};

/** `staked` is what is at work: free and locked. */
const stakeOf = (modelId: Hex, { free, locked, unbonding, unbondEnd, bond, slashed }: Row<'stakes'>): StakeState => ({
  version: 1,
  modelId,
  staked: free + locked,
  locked,
  unbonding,
  unbondEnd,
  bond,
  slashed,
});

/** A model shows only when its registration is complete. */
const registryEntryOf = (rows: Rows, modelId: Hex): Entry => {
  const model = rows.get('models', modelId);
  if (!model?.version || !model.prices) return { bucket: 'registry', key: kvKey(modelId), value: undefined };
  const provider = rows.get('providers', model.owner);
  const value: RegistryEntry = {
    version: 1,
    modelId,
    owner: model.owner,
    slug: model.slug,
    ...(provider ? { operator: provider.operator, payout: provider.payout } : {}),
    versionId: model.version.versionId,
    versionNumber: model.version.number,
    manifestSha256: kvKey(model.version.manifestHash),
    verificationRoot: model.version.verificationRoot,
    mode: model.version.mode,
    arbiter: model.version.arbiter,
    prices: model.prices,
    endpoint: model.endpoint,
    specializations: model.specializations,
    status: model.status,
    faults: model.faults,
    registeredAtBlock: model.registeredAtBlock,
  };
  return { bucket: 'registry', key: kvKey(modelId), value };
};
