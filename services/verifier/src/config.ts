import { readConfig } from '@cupel/runtime/config';
import { commonConfig } from '@cupel/protocol/wire/config';
import { address, httpUrl, sha256 } from '@cupel/protocol/wire/scalars';
import { z } from 'zod';

const model = z.discriminatedUnion('kind', [
  z
    .object({
      kind: z.literal('integer'),
      manifestSha256: sha256,
      /** Folder with cupel-manifest.json, program and weights. */
      path: z.string().min(1),
    })
    .strict(),
  z
    .object({
      kind: z.literal('chat'),
      manifestSha256: sha256,
      /** Our own engine with these weights: never a provider's. */
      engineUrl: httpUrl,
      /** Where the weights can be read here too, they are hashed at start. */
      path: z.string().min(1).optional(),
    })
    .strict(),
]);

/** docs/specs/gateway-edge.md. One service, two roles: a gateway's verifier, an edge's defender. */
export const verifierConfig = z
  .object({
    ...commonConfig,
    role: z.enum(['verifier', 'defender']),
    /** `gateway.<name>`, or `edge.<namespace>.<name>` for a defender. */
    scope: z.string().regex(/^(gateway\.[a-z0-9-]+|edge\.[a-z0-9-]+\.[a-z0-9-]+)$/, 'must be gateway.<name> or edge.<namespace>.<name>'),
    /** SQLite file: what was held, drawn, judged and disputed. */
    statePath: z.string().min(1),
    /** Pays for commitments and challenges, and receives the challenger's share. */
    keyFile: z.string().min(1),
    /** Receipts wait at most this long until their epoch is closed. */
    epochSeconds: z.number().positive().max(86_400),
    /** Share of the receipts that is checked, 0 … 1. */
    sampleRate: z.number().min(0).max(1),
    /** Blocks between the commitment and the block whose hash is the beacon. */
    beaconDelayBlocks: z.number().int().min(1).max(10_000),
    models: z.array(model).max(100).default([]),
    dispute: z
      .object({
        enabled: z.boolean(),
        /** The market's DataStore, for publishing weights; default: the deterministic deployment proxy that most chains have. */
        dataStore: address.optional(),
      })
      .strict()
      .default({ enabled: true }),
  })
  .strict()
  .refine((c) => c.role === 'defender' || c.scope.startsWith('gateway.'), {
    path: ['scope'],
    message: 'a verifier belongs to a gateway: gateway.<name>; at an edge the role is defender',
  })
  .refine((c) => c.role === 'verifier' || c.scope.startsWith('edge.'), {
    path: ['scope'],
    message: 'a defender belongs to an edge: edge.<namespace>.<name>; at a gateway the role is verifier',
  });

export type VerifierConfig = z.output<typeof verifierConfig>;

export const loadConfig = (path = process.env['CUPEL_CONFIG'] ?? ''): VerifierConfig => readConfig(path, verifierConfig);
