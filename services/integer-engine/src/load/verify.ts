import { verificationRoot } from '@cupel/integer/root';
import { type IntegerModel, loadModel } from '@cupel/integer/run';
import { type Manifest, manifest as manifestSchema } from '@cupel/protocol/wire/manifest';

/** A file of the model's folder and the sha256 that was computed from its bytes. */
export interface HashedFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly sha256: string;
}

export interface VerifiedModel {
  readonly model: IntegerModel;
  readonly verificationRoot: string;
}

/** The model's files are not what its manifest says. `file` is the path in the model's folder. */
export class ModelRefused extends Error {
  override readonly name = 'ModelRefused';
  readonly file: string;

  constructor(file: string, problem: string, options?: ErrorOptions) {
    super(`${file}: ${problem}`, options);
    this.file = file;
  }
}

/** @throws ModelRefused when the text is not a manifest of an integer model. */
export function parseManifest(file: string, text: string): Manifest & { integer: NonNullable<Manifest['integer']> } {
  const parsed = manifestSchema.safeParse(parseJson(file, text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ModelRefused(file, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a manifest'}`);
  }
  const { integer } = parsed.data;
  if (integer === undefined) throw new ModelRefused(file, 'integer: missing; this engine serves integer models only');
  for (const path of [integer.program, integer.weights]) {
    if (!parsed.data.files.some((entry) => entry.path === path)) throw new ModelRefused(file, `files: "${path}" is not listed`);
  }
  return { ...parsed.data, integer };
}

/**
 * Checks every file that the manifest lists, then the verification root.
 * @throws ModelRefused naming the file that differs, or IntegerModelError naming the malformed field.
 */
export function verifyModel(manifest: ReturnType<typeof parseManifest>, files: readonly HashedFile[]): VerifiedModel {
  const byPath = new Map(files.map((file) => [file.path, file]));
  for (const entry of manifest.files) {
    const file = byPath.get(entry.path);
    if (file === undefined) throw new ModelRefused(entry.path, 'missing');
    if (file.bytes.length !== entry.size) {
      throw new ModelRefused(entry.path, `want ${entry.size} bytes by the manifest, got ${file.bytes.length}`);
    }
    if (file.sha256 !== entry.sha256) {
      throw new ModelRefused(entry.path, `want sha256 ${entry.sha256} by the manifest, got ${file.sha256}`);
    }
  }
  const program = byPath.get(manifest.integer.program)?.bytes ?? new Uint8Array();
  const weights = byPath.get(manifest.integer.weights)?.bytes ?? new Uint8Array();
  const root = verificationRoot(program, weights);
  if (root !== manifest.integer.verificationRoot) {
    throw new ModelRefused(
      manifest.integer.weights,
      `want verificationRoot ${manifest.integer.verificationRoot} by the manifest, got ${root}`,
    );
  }
  return { model: loadModel(program, weights), verificationRoot: root };
}

function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ModelRefused(file, 'not JSON', { cause });
  }
}
