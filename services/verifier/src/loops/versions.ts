import type { Hex } from '@cupel/protocol/hex';
import type { RegistryEntry } from '@cupel/protocol/wire/projections';

import type { VersionFacts } from '../judge/evidence.ts';
import type { Versions } from './ports.ts';

export interface VersionsDeps {
  /** The watcher's projection: the latest version of each model. */
  readonly entry: (modelId: Hex) => RegistryEntry | undefined;
  /** The registry itself, for older versions; undefined: it has none of this id. */
  readonly ask: (versionId: Hex) => Promise<VersionFacts | undefined>;
}

/** Terms never change once they are registered, so what was read once is kept. */
export const createVersions = ({ entry, ask }: VersionsDeps): Versions => {
  const known = new Map<Hex, VersionFacts>();
  return {
    async of(versionId, modelId) {
      const latest = entry(modelId);
      const facts = known.get(versionId) ?? (latest?.versionId === versionId ? factsOf(latest) : await ask(versionId));
      if (facts) known.set(versionId, facts);
      return facts;
    },
  };
};

const factsOf = ({ modelId, owner, manifestSha256, verificationRoot, mode, arbiter }: RegistryEntry): VersionFacts => ({
  modelId,
  owner,
  manifestSha256: manifestSha256.replace(/^0x/, ''),
  verificationRoot,
  mode,
  arbiter,
});
