import { verificationRoot } from '@cupel/integer/root';
import { loadModel } from '@cupel/integer/run';
import { MANIFEST_FILE, manifest as manifestSchema } from '@cupel/protocol/wire/manifest';
import type { Manifest } from '@cupel/protocol/wire/manifest';

import type { LoadedModel } from './integer.ts';

/** The weights are not the ones that the manifest hash names: nothing may be judged by them. */
export class WrongWeights extends Error {
  override readonly name = 'WrongWeights';
}

/** A model's folder. */
export interface WeightFolder {
  /** For messages. */
  readonly name: string;
  read(path: string): Promise<Uint8Array>;
  /** Streamed: weights may be large. `sha256` in lower-case hex. */
  digest(path: string): Promise<{ readonly size: number; readonly sha256: string }>;
}

export type Sha256 = (bytes: Uint8Array) => string;

/** Recomputes the manifest's hash and the hash of every file that it names. Throws {@link WrongWeights}. */
export const checkWeights = async (folder: WeightFolder, manifestSha256: string, sha256: Sha256): Promise<Manifest> => {
  const wrong = (file: string, problem: string): WrongWeights => new WrongWeights(`${folder.name}/${file}: ${problem}`);
  const bytes = await folder.read(MANIFEST_FILE);
  if (sha256(bytes) !== manifestSha256)
    throw wrong(MANIFEST_FILE, `its sha256 is ${sha256(bytes)}, the configuration says ${manifestSha256}`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw wrong(MANIFEST_FILE, 'it is not JSON');
  }
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) throw wrong(MANIFEST_FILE, parsed.error.issues[0]?.message ?? 'it does not fit its schema');
  for (const file of parsed.data.files) {
    const found = await folder.digest(file.path);
    if (found.size !== file.size || found.sha256 !== file.sha256) throw wrong(file.path, 'size or sha256 is not what the manifest says');
  }
  return parsed.data;
};

/** {@link checkWeights}, and the verification root of what is then computed with. Throws {@link WrongWeights} or IntegerModelError. */
export const loadIntegerModel = async (folder: WeightFolder, manifestSha256: string, sha256: Sha256): Promise<LoadedModel> => {
  const manifest = await checkWeights(folder, manifestSha256, sha256);
  const names = manifest.integer;
  if (!names) throw new WrongWeights(`${folder.name}/${MANIFEST_FILE}: it has no part "integer"; configure the model with kind chat`);
  const read = async (path: string): Promise<Uint8Array> => {
    const bytes = await folder.read(path);
    if (sha256(bytes) !== manifest.files.find((f) => f.path === path)?.sha256)
      throw new WrongWeights(`${folder.name}/${path}: it is not in the manifest, or changed while it was read`);
    return bytes;
  };
  const [program, weights] = [await read(names.program), await read(names.weights)];
  const root = verificationRoot(program, weights);
  if (root !== names.verificationRoot)
    throw new WrongWeights(`${folder.name}: the weights give the verification root ${root}, the manifest says ${names.verificationRoot}`);
  return { verificationRoot: root, program, weights, model: loadModel(program, weights) };
};
