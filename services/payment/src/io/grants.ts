import { readFileSync, statSync } from 'node:fs';

import type { Hex } from '@cupel/protocol/hex';
import type { Logger } from '@cupel/protocol/log';
import { signedGrant } from '@cupel/protocol/wire/receipt';
import type { SignedGrant } from '@cupel/protocol/wire/receipt';
import { z } from 'zod';

import type { Grants } from '../calls/edge.ts';

const grantsFile = z.array(signedGrant).max(10_000);

/** How often a changed file is looked for. */
const LOOK_EVERY_MS = 1000;

/**
 * The SignerGrants that the owners' cold keys signed: a JSON array, read again when the file changes, so that a new version needs no restart.
 * A file that does not fit is logged and the last good one stays in force.
 */
export const grantsOf = (path: string, signer: Hex, logger: Logger, nowMs: () => number): Grants => {
  let grants = new Map<Hex, SignedGrant>();
  let lookedAtMs = -Infinity;
  let changedMs = -1;
  const look = (): void => {
    lookedAtMs = nowMs();
    try {
      const { mtimeMs } = statSync(path);
      if (mtimeMs === changedMs) return;
      const all = grantsFile.parse(JSON.parse(readFileSync(path, 'utf8')));
      changedMs = mtimeMs;
      grants = new Map(all.filter((g) => g.signer === signer).map((g) => [g.versionId, g]));
      logger.info({ path, grants: grants.size, foreign: all.length - grants.size }, 'grants were read');
    } catch (err) {
      logger.error({ path, err }, 'the grants file cannot be read; correct it, the grants known before stay in force');
    }
  };
  return {
    of(versionId) {
      if (nowMs() - lookedAtMs > LOOK_EVERY_MS) look();
      return grants.get(versionId);
    },
  };
};
