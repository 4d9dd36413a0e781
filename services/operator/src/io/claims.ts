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
import type { Connections } from './chain.ts';
import type { Informers } from './informers.ts';
import type { Keys } from './keys.ts';
import type { Lanes } from './lanes.ts';

export interface ClaimsOptions {
  readonly bus: Pick<Bus, 'kv' | 'serve'>;
  readonly informers: Pick<Informers, 'modelProviders' | 'markets'>;
  readonly connections: Connections;
  readonly lanes: Lanes;
  readonly keys: Keys;
  readonly leads: () => boolean;
  readonly logger: Logger;
}

export interface Claims {
  /** Serves claims.post for the edges. */
  serve(): Promise<AsyncDisposable>;
  /** Finalizes what is due. */
  finalizeDue(): Promise<void>;
}

const isRefusal = (value: object): value is Refusal => 'reason' in value;

/** Roots of receipts: posted by the operator key of the provider that serves them, finalized when their window has closed. */
export const createClaims = ({ bus, informers, connections, lanes, keys, leads, logger }: ClaimsOptions): Claims => {
  const kv: Kv<ClaimState> = bus.kv('claims', claimState);
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
        const mine = open.filter(({ versionId }) => versionId === object.status?.onChain?.versionId);
        const market = marketOf(object.spec.marketRef.name);
        if (mine.length === 0 || market === undefined) continue;
        await finalizeOf(object, market, mine);
      }
      await finalizeOrphans(open.filter(({ versionId }) => !all.some(({ status }) => status?.onChain?.versionId === versionId)));
    },
  };

  async function finalizeOf(object: ModelProvider, market: Market, mine: readonly ClaimState[]): Promise<void> {
    const { client } = await connections.of(market);
    const ready = due(mine, (await client.head('latest')).timestamp);
    if (ready.length === 0) return;
    const lane = await laneFor(object, market);
    if (!isRefusal(lane)) await finalizeAll(market, lane, ready);
  }

  /** Claims of objects that are gone: anyone may finalize, so that stake does not stay locked for nothing. */
  async function finalizeOrphans(orphans: readonly ClaimState[]): Promise<void> {
    const lane = lanes.all()[0];
    if (lane === undefined || orphans.length === 0) return;
    for (const raw of informers.markets.store.list()) {
      const market = marketOf(raw.metadata.name);
      if (market === undefined) continue;
      const { client, views } = await connections.of(market);
      for (const claim of due(orphans, (await client.head('latest')).timestamp)) {
        if ((await views.claim(claim.claimId)).status === 'open') await finalizeAll(market, lane, [claim]);
      }
    }
  }

  async function finalizeAll(market: Market, lane: Lane, claims: readonly ClaimState[]): Promise<void> {
    const { calls } = await connections.of(market);
    await Promise.all(claims.map(({ claimId }) => finalize(lane, claimId, calls.finalize(claimId))));
  }

  async function finalize(
    lane: Lane,
    claimId: Hex,
    call: ReturnType<Awaited<ReturnType<Connections['of']>>['calls']['finalize']>,
  ): Promise<void> {
    const outcome = await lane.send({ key: `finalize:${claimId}`, purpose: 'finalizeClaim', call, waitMs: 20_000 });
    if (outcome.kind === 'mined') logger.info({ claimId, tx: outcome.hash }, 'claim finalized');
    else if (outcome.kind === 'reverted') logger.debug({ claimId, why: outcome.error.message }, 'claim not finalized');
  }
};
