import { z } from 'zod';

import { address, httpUrl } from './scalars.ts';

export const contracts = z
  .object({
    stakeToken: address,
    paymentToken: address,
    stakeVault: address,
    modelRegistry: address,
    paymentChannels: address,
    claimManager: address,
    disputeManager: address,
  })
  .strict();

export const marketConfig = z
  .object({
    chainId: z.number().int().min(1),
    rpc: z
      .array(z.object({ name: z.string().max(63), url: httpUrl }).strict())
      .min(1)
      .max(8),
    contracts,
  })
  .strict();

/** What every service's configuration file starts with. Secrets are files. */
export const commonConfig = {
  log: z
    .object({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info') })
    .strict()
    .prefault({}),
  metricsPort: z.number().int().min(0).max(65535).default(9090),
  nats: z.object({ url: z.string().regex(/^(nats|tls):\/\//), userFile: z.string(), passwordFile: z.string() }).strict(),
  market: marketConfig,
} as const;

export type MarketConfig = z.output<typeof marketConfig>;
export type Contracts = z.output<typeof contracts>;
