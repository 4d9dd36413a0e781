import { commonConfig, marketConfig } from '@cupel/protocol/wire/config';
import { readConfig } from '@cupel/runtime/config';
import { z } from 'zod';

const name = z.string().min(1).max(63);

const operatorConfig = z
  .object({
    ...commonConfig,
    /** Not used: the operator takes chain and contracts from Market objects. Allowed, since the chart writes it for every component. */
    market: marketConfig.optional(),
    /** Namespaces whose ModelProviders are served, and the only ones in which Secrets are read. */
    watchNamespaces: z.array(name).min(1, 'name at least one namespace whose ModelProviders are served').max(1000),
    leaseNamespace: name,
    /** Name of our Role and RoleBinding in each watched namespace; absent: our rights come from elsewhere. */
    accessRole: z.string().min(1).max(253).optional(),
    engineImages: z.object({ LlamaCpp: z.string().max(512), Integer: z.string().max(512) }).strict(),
    /** The cupel image. */
    verifyImage: z.string().min(1).max(512),
    /** How long requests in flight may take after an engine has begun to drain. */
    drainSeconds: z.number().min(0).max(3600).default(5),
    /** Only outside of a cluster; absent: the pod's ServiceAccount. */
    kubeconfigFile: z.string().max(4096).optional(),
    /** Streams of receipts, one per edge: how long and how much they keep. The ledgers keep everything. */
    receiptStreams: z
      .object({
        maxAgeSeconds: z.number().int().min(60).max(31_536_000).default(604_800),
        maxBytes: z
          .number()
          .int()
          .min(1 << 20)
          .default(64 << 20),
      })
      .strict()
      .prefault({}),
    /** How often due claims are looked for. */
    claimsEverySeconds: z.number().min(0.1).max(3600).default(2),
  })
  .strict();

export type OperatorConfig = z.output<typeof operatorConfig>;

/** Reads the file that CUPEL_CONFIG names; the pod's name becomes the identity in Lease and events. */
export const readOperatorConfig = (
  env: Readonly<Record<string, string | undefined>> = process.env,
): OperatorConfig & { readonly podName: string } => ({
  ...readConfig(env['CUPEL_CONFIG'] ?? '', operatorConfig),
  podName: env['HOSTNAME'] ?? 'operator',
});
