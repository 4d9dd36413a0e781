import { readConfig } from '@cupel/runtime/config';
import { commonConfig } from '@cupel/protocol/wire/config';
import { z } from 'zod';

export const watcherConfig = z
  .object({
    ...commonConfig,
    /** Block of the deployment: nothing before it is read. */
    startBlock: z.number().int().min(0).default(0),
    pollMs: z.number().int().min(50).max(60_000).default(1000),
    /** For chains without safe and finalized heads: so many blocks below the head count as both. */
    confirmations: z.number().int().min(1).max(10_000).optional(),
    /** SQLite file of cursor, rows and undo journal. May be lost: it is then rebuilt from the chain. */
    statePath: z.string().min(1),
    /** /readyz fails when the last block is older. */
    staleSeconds: z.number().int().min(1).default(120),
  })
  .strict();

export type WatcherConfig = z.output<typeof watcherConfig>;

export const loadConfig = (): WatcherConfig => readConfig(process.env['CUPEL_CONFIG'] ?? '', watcherConfig);
