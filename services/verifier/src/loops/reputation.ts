import type { Hex } from '@cupel/protocol/hex';
import type { Reputation } from '@cupel/protocol/wire/projections';
import { encodeJson } from '@cupel/protocol/wire/scalars';

import { reputationOf } from '../judge/reputation.ts';
import type { VerifierState } from '../state.ts';

export interface ReputationBucket {
  /** True: it was missing and is empty now. */
  ensure(): Promise<boolean>;
  put(modelId: Hex, value: Reputation): Promise<void>;
}

export interface ReputationDeps {
  readonly state: Pick<VerifierState, 'tallies'>;
  readonly bucket: ReputationBucket;
  /** The registry shows no arbiter for the model; undefined: it has not been seen to have the model, which is then told of later. */
  readonly unarbitrated: (modelId: Hex) => boolean | undefined;
}

/** Tells the party's routers what the verdicts say of each model; a lost bucket is filled again. */
export const createReputations = ({ state, bucket, unarbitrated }: ReputationDeps) => {
  const written = new Map<Hex, string>();
  return {
    async run(): Promise<void> {
      if (await bucket.ensure()) written.clear();
      for (const { modelId, tally } of state.tallies()) {
        if (modelId === '0x') continue;
        const alone = unarbitrated(modelId);
        if (alone === undefined) continue;
        const value = reputationOf(modelId, tally, alone);
        const text = encodeJson(value);
        if (written.get(modelId) === text) continue;
        await bucket.put(modelId, value);
        written.set(modelId, text);
      }
    },
  };
};
