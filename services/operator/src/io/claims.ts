import type { Bus, Kv } from '@cupel/bus/bus';
import type { Lane } from '@cupel/chain/lane';
import type { Hex } from '@cupel/protocol/hex';
import type { Logger } from '@cupel/protocol/log';
import { modelProvider, market as marketSchema } from '@cupel/protocol/crd/objects';
import type { Market, ModelProvider } from '@cupel/protocol/crd/objects';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import { claimPostRequest } from '@cupel/protocol/wire/bus';
import type { ClaimPostRequest, ClaimPostValue } from '@cupel/protocol/wire/bus';
import { claimState } from '@cupel/protocol/wire/projections';
import type { ClaimState } from '@cupel/protocol/wire/projections';
import { ALL_CLAIMS_POST, kvKey } from '@cupel/protocol/wire/subjects';

import { claimKey, claimant, due } from '../claims/claims.ts';
import type { Connection } from './chain.ts';
import type { Informers } from './informers.ts';
import type { Keys } from './keys.ts';
import type { Lanes } from './lanes.ts';

export interface ClaimsOptions {
  readonly bus: Pick<Bus, 'kv' | 'serve'>;
  readonly informers: { readonly [Kind in 'modelProviders' | 'markets']: Pick<Informers[Kind], 'store'> };
  readonly connections: { of(market: Market): Promise<Pick<Connection, 'client' | 'views' | 'calls'>> };
  readonly lanes: Pick<Lanes, 'of'>;
  readonly keys: Pick<Keys, 'signer'>;
  readonly leads: () => boolean;
  readonly logger: Logger;
}

export interface Claims {
  /** Serves claims.post for the edges. */
  serve(): Promise<AsyncDisposable>;
  /** Finalizes what is due. */
  finalizeDue(): Promise<void>;
}

/** Whose key this operator holds, or held while it has run: where claims of an owner are finalized at its own cost. */
interface Holder {
  readonly market: Market;
  readonly lane: Lane;
}

/** Owners of versions that are remembered; they never change. */
const REMEMBERED_VERSIONS = 10_000;

const isRefusal = (value: object): value is Refusal => 'reason' in value;

/** Roots of receipts: posted by the operator key of the provider that serves them, finalized when their window has closed. */
export const createClaims = ({ bus, informers, connections, lanes, keys, leads, logger }: ClaimsOptions): Claims => {
  const kv: Kv<ClaimState> = bus.kv('claims', claimState);
  const holders = new Map<string, Holder>();
  const owners = new Map<string, Hex>();
  const objects = (): ModelProvider[] =>
    informers.modelProviders.store.list().flatMap((raw) => {
      const parsed = modelProvider.safeParse(raw);
      return parsed.success ? [parsed.data as ModelProvider] : [];
    });
  const marketOf = (name: string): Market | undefined =>
    marketSchema.safeParse(informers.markets.store.get({ name })).data as Market | undefined;

  const laneFor = async (object: ModelProvider, market: Market): Promise<Lane | Refusal> => {
    const key = await keys.signer({ namespace: object.metadata.namespace ?? '', ...object.spec.identity.operatorKeyRef });
    if (key.state !== 'present') return refuse('internal', `the operator key of ${object.metadata.name}: ${key.message}`);
    const { client } = await connections.of(market);
    return lanes.of(client, key.signer);
  };

  const post = async (request: ClaimPostRequest, subject: string): Promise<ClaimPostValue | Refusal> => {
    if (!leads()) return refuse('draining', 'this operator does not hold the lease');
    const object = claimant(objects(), subject, request);
    if (isRefusal(object)) return object;
    const market = marketOf(object.spec.marketRef.name);
    if (market === undefined) return refuse('internal', `there is no Market "${object.spec.marketRef.name}"`);
    const { views, calls } = await connections.of(market);
    const claimId = await views.claimId(request.versionId, request.root);
    const lane = await laneFor(object, market);
    if (isRefusal(lane)) return lane;
    const owner = object.spec.identity.ownerAddress.toLowerCase() as Hex;
    holders.set(`${market.metadata.name}/${owner}`, { market, lane });
    const known = await lane.outcome(claimKey(claimId));
    if (known?.kind === 'mined') return { claimId, tx: known.hash };
    // Posted by an earlier process, or by the owner: the projection knows the transaction.
    if ((await views.claim(claimId)).status !== 'none') {
      const projected = await kv.get(kvKey(claimId));
      return projected === undefined
        ? refuse('internal', `claim ${claimId} is posted, but not projected yet`)
        : { claimId, tx: projected.postedTx };
    }
    const call = calls.postRoot(request.versionId, request.root, request.count, request.maxPrice);
    const outcome = await lane.send({ key: claimKey(claimId), purpose: 'postRoot', call, waitMs: 20_000 });
    switch (outcome.kind) {
      case 'mined':
        logger.info({ claimId, versionId: request.versionId, count: request.count, tx: outcome.hash }, 'claim posted');
        return { claimId, tx: outcome.hash };
      case 'pending':
        return { claimId, tx: outcome.hash };
      case 'reverted':
        return refuse('invalid_field', `ClaimManager refuses the root: ${outcome.error.message}`);
      case 'unknown':
        return refuse('internal', `the root could not be sent: ${outcome.message}`);
    }
  };

  return {
    serve: () => bus.serve(ALL_CLAIMS_POST, claimPostRequest, post, { queue: 'operator' }),
    async finalizeDue() {
      if (!leads()) return;
      const open = [...(await kv.entries()).values()].filter(({ status }) => status === 'open');
      if (open.length === 0) return;
      const all = objects();
      for (const object of all) {
        const market = marketOf(object.spec.marketRef.name);
        if (market === undefined || object.status?.onChain?.versionId === undefined) continue;
        await hold(object, market);
        const mine = open.filter(({ versionId }) => versionId === object.status?.onChain?.versionId);
        if (mine.length > 0) await finalizeOf(object, market, mine);
      }
      await finalizeOrphans(open.filter(({ versionId }) => !all.some(({ status }) => status?.onChain?.versionId === versionId)));
    },
  };

  /** Remembers the key of an owner, for the time when its object is gone. */
  async function hold(object: ModelProvider, market: Market): Promise<void> {
    const owner = object.spec.identity.ownerAddress.toLowerCase() as Hex;
    const id = `${market.metadata.name}/${owner}`;
    if (holders.has(id)) return;
    const lane = await laneFor(object, market);
    if (!isRefusal(lane)) holders.set(id, { market, lane });
  }

  async function finalizeOf(object: ModelProvider, market: Market, mine: readonly ClaimState[]): Promise<void> {
    const { client } = await connections.of(market);
    const ready = due(mine, (await client.head('latest')).timestamp);
    if (ready.length === 0) return;
    const lane = await laneFor(object, market);
    if (!isRefusal(lane)) await finalizeAll(market, lane, ready);
  }

  /** Claims of older versions and of objects that are gone, so that stake does not stay locked; strangers pay for their own. */
  async function finalizeOrphans(orphans: readonly ClaimState[]): Promise<void> {
    if (orphans.length === 0) return;
    for (const name of new Set([...holders.values()].map(({ market }) => market.metadata.name))) {
      const market = marketOf(name);
      if (market === undefined) continue;
      const { client, views } = await connections.of(market);
      for (const claim of due(orphans, (await client.head('latest')).timestamp)) {
        const holder = holders.get(`${name}/${await ownerOf(name, views, claim.versionId)}`);
        if (holder === undefined || (await views.claim(claim.claimId)).status !== 'open') continue;
        await finalizeAll(market, holder.lane, [claim]);
      }
    }
  }

  async function ownerOf(market: string, views: Connection['views'], versionId: Hex): Promise<Hex> {
    const id = `${market}/${versionId}`;
    const known = owners.get(id);
    if (known !== undefined) return known;
    const { owner } = await views.model((await views.version(versionId)).modelId);
    for (const oldest of owners.keys()) {
      if (owners.size < REMEMBERED_VERSIONS) break;
      owners.delete(oldest);
    }
    owners.set(id, owner);
    return owner;
  }

  async function finalizeAll(market: Market, lane: Lane, claims: readonly ClaimState[]): Promise<void> {
    const { calls } = await connections.of(market);
    await Promise.all(claims.map(({ claimId }) => finalize(lane, claimId, calls.finalize(claimId))));
  }

  async function finalize(lane: Lane, claimId: Hex, call: ReturnType<Connection['calls']['finalize']>): Promise<void> {
    const outcome = await lane.send({ key: `finalize:${claimId}`, purpose: 'finalizeClaim', call, waitMs: 20_000 });
    if (outcome.kind === 'mined') logger.info({ claimId, tx: outcome.hash }, 'claim finalized');
    else if (outcome.kind === 'reverted') logger.debug({ claimId, why: outcome.error.message }, 'claim not finalized');
  }
};
