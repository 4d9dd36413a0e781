import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { verificationRoot } from '@cupel/integer/root';
import { type Manifest, manifest } from '@cupel/protocol/wire/manifest';

export interface ManifestRequest {
  readonly name: string;
  /** Paths of the weight files below the folder; the manifest lists them sorted. */
  readonly files: readonly string[];
  readonly license?: string;
  readonly quantization?: string;
  /** Integer models: which of the files are program and weights. */
  readonly integer?: { readonly program: string; readonly weights: string };
}

export interface MadeManifest {
  readonly manifest: Manifest;
  /** The bytes of cupel-manifest.json. */
  readonly text: string;
  /** Their sha256 in hex: the model hash (registry: manifestHash). */
  readonly sha256: string;
}

/**
 * Makes a model's cupel-manifest.json from the files in `folder`; the same files give the same bytes.
 * @throws when a file cannot be read, or a zod error that names a field of the request.
 */
export async function makeManifest(folder: string, request: ManifestRequest): Promise<MadeManifest> {
  const { name, license, quantization, integer } = request;
  const files = [];
  for (const path of request.files.toSorted()) files.push(await describeFile(folder, path));
  const made = manifest.parse({
    version: 1,
    name,
    ...(license !== undefined && { license }),
    ...(quantization !== undefined && { quantization }),
    files,
    ...(integer && { integer: { ...integer, verificationRoot: await rootOf(folder, integer) } }),
  });
  const text = `${JSON.stringify(made, null, 2)}\n`;
  return { manifest: made, text, sha256: createHash('sha256').update(text).digest('hex') };
}

async function describeFile(folder: string, path: string): Promise<Manifest['files'][number]> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(join(folder, path))) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError(`${path}: want bytes`);
    hash.update(chunk);
    size += chunk.length;
  }
  const digest = hash.digest();
  return { path, size, sha256: digest.toString('hex'), cid: rawCid(digest), profile: 'raw' };
}

async function rootOf(folder: string, integer: { program: string; weights: string }): Promise<string> {
  return verificationRoot(await readFile(join(folder, integer.program)), await readFile(join(folder, integer.weights)));
}

/** CIDv1, codec raw (0x55), multihash sha2-256 (0x12, 32 bytes), in base32 with its multibase prefix "b". */
export function rawCid(digest: Uint8Array): string {
  return `b${base32(Uint8Array.of(0x01, 0x55, 0x12, 0x20, ...digest))}`;
}

/** RFC 4648 base32, lower case, without padding. */
function base32(bytes: Uint8Array): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  let text = '';
  let pending = 0;
  let bits = 0;
  for (const byte of bytes) {
    pending = ((pending << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet[(pending >> (bits - 5)) & 31];
  }
  return bits > 0 ? text + alphabet[(pending << (5 - bits)) & 31] : text;
}
