import type { Hex } from '@cupel/protocol/hex';
import { MANIFEST_FILE, manifest as manifestSchema } from '@cupel/protocol/wire/manifest';
import type { Manifest } from '@cupel/protocol/wire/manifest';
import type { Mode } from '@cupel/protocol/wire/projections';

/** The folder is not what the manifest says; `file` names the culprit. */
export class ManifestMismatch extends Error {
  override readonly name = 'ManifestMismatch';
  readonly file: string;
  constructor(file: string, message: string) {
    super(message);
    this.file = file;
  }
}

/** What the check needs of a folder and of an integer model; files are opened without following symbolic links. */
export interface FolderPort {
  /** Throws {@link ManifestMismatch} when it is missing, no plain file, or larger than `limit` bytes. */
  read(path: string, limit: number): Promise<Uint8Array>;
  /** Size and sha256 (lower-case hex), streamed. Throws {@link ManifestMismatch} as `read` does. */
  digest(path: string): Promise<{ readonly size: number; readonly sha256: string }>;
}

export interface IntegerPort {
  verificationRoot(program: Uint8Array, weights: Uint8Array): Hex;
  /** The right answer of these weights to `input`. */
  answer(program: Uint8Array, weights: Uint8Array, input: Uint8Array): Uint8Array;
  inputLength(program: Uint8Array): number;
}

export interface VerifyRequest {
  readonly manifestSha256: string;
  readonly mode: Mode;
  /** Decides the probe input, so that every pod is asked another question. */
  readonly podUid: string;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
}

export interface VerifiedFolder {
  readonly manifest: Manifest;
  readonly bytes: number;
  readonly verificationRoot: Hex | undefined;
  readonly probe: { readonly input: Uint8Array; readonly output: Uint8Array } | undefined;
}

const MANIFEST_LIMIT = 4 << 20;
/** A program travels in the evidence of a dispute. */
const PROGRAM_LIMIT = 256 << 20;
/** What one data contract holds (EIP-170, less its first byte): an ExecutionArbiter can be shown no more, and nobody could dispute an answer. */
const WEIGHTS_LIMIT = 24_575;

const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Checks the manifest's own hash, then every byte of every file that it names; for integer models also the verification root. */
export const verifyFolder = async (folder: FolderPort, integer: IntegerPort, request: VerifyRequest): Promise<VerifiedFolder> => {
  const text = await folder.read(MANIFEST_FILE, MANIFEST_LIMIT);
  const found = hexOf(request.sha256(text));
  if (found !== request.manifestSha256) {
    throw new ManifestMismatch(MANIFEST_FILE, `its sha256 is ${found}, not ${request.manifestSha256}`);
  }
  const manifest = parse(text);
  let bytes = 0;
  for (const file of manifest.files) {
    const { size, sha256 } = await folder.digest(file.path);
    if (size !== file.size) throw new ManifestMismatch(file.path, `it has ${size} bytes, the manifest says ${file.size}`);
    if (sha256 !== file.sha256) throw new ManifestMismatch(file.path, `its sha256 is ${sha256}, the manifest says ${file.sha256}`);
    bytes += size;
  }
  if (request.mode !== 'IntegerExecution') return { manifest, bytes, verificationRoot: undefined, probe: undefined };
  return { manifest, bytes, ...(await verifyInteger(folder, integer, request, manifest)) };
};

const parse = (bytes: Uint8Array): Manifest => {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new ManifestMismatch(MANIFEST_FILE, 'it is not JSON');
  }
  const parsed = manifestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ManifestMismatch(MANIFEST_FILE, `${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? 'invalid'}`);
};

const verifyInteger = async (
  folder: FolderPort,
  integer: IntegerPort,
  request: VerifyRequest,
  manifest: Manifest,
): Promise<Pick<VerifiedFolder, 'verificationRoot' | 'probe'>> => {
  const names = manifest.integer;
  if (names === undefined) throw new ManifestMismatch(MANIFEST_FILE, 'it has no part "integer", which mode IntegerExecution needs');
  // Read once more and hashed again: what is computed with is what the manifest names.
  const load = async (path: string, limit: number): Promise<Uint8Array> => {
    const entry = manifest.files.find((file) => file.path === path);
    if (entry === undefined) throw new ManifestMismatch(path, 'it is named under "integer", but not under "files"');
    const bytes = await folder.read(path, limit);
    if (hexOf(request.sha256(bytes)) !== entry.sha256) throw new ManifestMismatch(path, 'it changed while it was read');
    return bytes;
  };
  const program = await load(names.program, PROGRAM_LIMIT);
  const size = manifest.files.find((file) => file.path === names.weights)?.size ?? 0;
  if (size > WEIGHTS_LIMIT) {
    throw new ManifestMismatch(
      names.weights,
      `it has ${size} bytes; weights of more than ${WEIGHTS_LIMIT} cannot be shown to the arbiter, so that no answer could be disputed: use a smaller model, or verification.mode Replay`,
    );
  }
  const weights = await load(names.weights, WEIGHTS_LIMIT);
  const root = computed(names.weights, () => integer.verificationRoot(program, weights));
  if (root !== names.verificationRoot) {
    throw new ManifestMismatch(
      names.weights,
      `program and weights give verification root ${root}, the manifest says ${names.verificationRoot}`,
    );
  }
  const input = probeInput(request, integer.inputLength(program));
  return { verificationRoot: root, probe: { input, output: computed(names.program, () => integer.answer(program, weights, input)) } };
};

/** A malformed program is a mismatch of its file, not a crash. */
const computed = <T>(file: string, work: () => T): T => {
  try {
    return work();
  } catch (error) {
    throw new ManifestMismatch(file, error instanceof Error ? error.message : 'it cannot be run');
  }
};

/** sha256("<podUid>/<i>") for i = 0, 1, …, joined and cut to length: nobody can have prepared the answer, and it can be recomputed. */
const probeInput = ({ podUid, sha256 }: VerifyRequest, length: number): Uint8Array => {
  const out = new Uint8Array(length);
  for (let i = 0; 32 * i < length; i++) {
    const block = sha256(new TextEncoder().encode(`${podUid}/${i}`));
    out.set(block.subarray(0, Math.min(32, length - 32 * i)), 32 * i);
  }
  return out;
};
