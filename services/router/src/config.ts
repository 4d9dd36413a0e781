import { commonConfig } from '@cupel/protocol/wire/config';
import { baseAmount, decimal, microAmount, bytes32, publicName, sha256 } from '@cupel/protocol/wire/scalars';
import { z } from 'zod';

const label = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'must be a Kubernetes name');

const gateway = z
  .object({
    models: z.record(
      publicName,
      z.discriminatedUnion('kind', [
        z.object({ manifestSha256: sha256, kind: z.literal('chat'), verificationRoot: bytes32.optional() }).strict(),
        // Without its root a lie about an integer model could not be proven: `cupel-manifest.json` names it as integer.verificationRoot.
        z
          .object({
            manifestSha256: sha256,
            kind: z.literal('integer'),
            verificationRoot: bytes32.refine((root) => !/^0x0+$/.test(root), 'must not be zero'),
          })
          .strict(),
      ]),
    ),
    endpointPolicy: z
      .object({
        allowedCIDRs: z.array(z.string().max(64)).max(64).default([]),
        deniedAddresses: z.array(z.string().max(64)).max(64).default([]),
      })
      .strict()
      .prefault({}),
    /** Providers that could cost more for one request are not asked. */
    maxPriceMicro: microAmount.optional(),
    /** Least stake (units of the stake token) and bond (base units) of a provider; more than none is wanted anyway. */
    minStake: decimal.optional(),
    minBond: baseAmount.optional(),
  })
  .strict();

const limits = z
  .object({
    bodyBytes: z.number().int().min(1024).max(16_777_216).default(1_048_576),
    /** An answer goes to the ledger as evidence, over the bus: it and the body, in hex, stay below the bus's 8 MB. */
    answerBytes: z.number().int().min(1024).max(16_777_216).default(2_097_152),
    concurrentPerCredential: z.number().int().min(1).max(100_000).default(256),
    concurrent: z.number().int().min(1).max(100_000).default(4096),
    /** Edge: requests of one remote address whose sender is not proven yet. */
    arrivingPerAddress: z.number().int().min(1).max(100_000).default(128),
    firstByteSeconds: z.number().int().min(1).max(3600).default(120),
    idleSeconds: z.number().int().min(1).max(3600).default(60),
    drainSeconds: z.number().int().min(0).max(300).default(20),
  })
  .strict()
  .refine((l) => 2 * (l.bodyBytes + l.answerBytes) <= 7_500_000, {
    path: ['answerBytes'],
    message:
      'bodyBytes and answerBytes together must stay below 3750000: both go over the bus in hex, whose messages hold 8 MB; lower one of them',
  })
  .prefault({});

/** Schema of the configuration file (docs/specs/gateway-edge.md). */
export const routerConfig = z
  .object({
    ...commonConfig,
    role: z.enum(['gateway', 'edge']),
    scope: z
      .string()
      .regex(/^(?:gateway\.[A-Za-z0-9-]+|edge\.[A-Za-z0-9-]+\.[A-Za-z0-9-]+)$/, 'must be gateway.<name> or edge.<namespace>.<name>'),
    listenPort: z.number().int().min(0).max(65_535).default(8080),
    gateway: gateway.optional(),
    edge: z.object({ namespace: label, name: label }).strict().optional(),
    limits,
  })
  .strict()
  .refine((c) => c.role !== 'gateway' || c.gateway !== undefined, { path: ['gateway'], message: 'is required in the role gateway' })
  .refine((c) => c.role !== 'edge' || c.edge !== undefined, { path: ['edge'], message: 'is required in the role edge' });

export type RouterConfig = z.output<typeof routerConfig>;

const { CUPEL_CONFIG, KUBERNETES_SERVICE_HOST } = process.env;

export const configPath = (): string => CUPEL_CONFIG ?? '';

/** The API server of the cluster that this process runs in, as the kubelet names it; undefined outside of one. */
export const apiServerHost = (): string | undefined => KUBERNETES_SERVICE_HOST || undefined;
