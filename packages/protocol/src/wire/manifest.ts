import { z } from 'zod';

import { bytes32, sha256, version1 } from './scalars.ts';

export const MANIFEST_FILE = 'cupel-manifest.json';

/** A path inside the model's folder: no leading slash, no "..", no backslash. */
const relativePath = z
  .string()
  .min(1)
  .max(512)
  .regex(/^(?!\/)(?!.*(?:^|\/)\.\.(?:\/|$))[^\\\0]+$/, 'must be a relative path without ".."');

/** Names every weight file; its own sha256 is the model hash. docs/specs/manifest.md. */
export const manifest = z
  .object({
    version: version1,
    name: z.string().min(1).max(100),
    license: z.string().max(100).optional(),
    quantization: z.string().max(40).optional(),
    files: z
      .array(
        z
          .object({
            path: relativePath,
            size: z.number().int().min(0),
            sha256,
            /** CIDv1, base32. */
            cid: z.string().regex(/^b[a-z2-7]{10,120}$/),
            /** How the CID was chunked: `raw` is one block over the whole file. */
            profile: z.enum(['raw']),
          })
          .strict(),
      )
      .min(1)
      .max(10_000),
    integer: z.object({ program: relativePath, weights: relativePath, verificationRoot: bytes32 }).strict().optional(),
  })
  .strict();

export type Manifest = z.output<typeof manifest>;
