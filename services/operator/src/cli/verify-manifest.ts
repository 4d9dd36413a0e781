import { createHash } from 'node:crypto';
import { symlink, writeFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { decodeProgram } from '@cupel/integer/program';
import { verificationRoot } from '@cupel/integer/root';
import { loadModel, run } from '@cupel/integer/run';
import { bytesToHex } from '@cupel/protocol/hex';
import { mode as modeSchema } from '@cupel/protocol/wire/projections';

import { openFolder } from '../io/folder.ts';
import { ManifestMismatch, verifyFolder } from '../manifest/verify.ts';

/**
 * The init container `verify` of every engine pod: hashes every file that the engine is going to load, from the same volume, before the engine
 * starts. Leaves {manifestSha256, verificationRoot?, quantization?, probe?, files, bytes} as its termination message and ends with 0, or
 * {error, file} and ends with 1.
 */
const { values } = parseArgs({
  options: {
    dir: { type: 'string' },
    'manifest-sha256': { type: 'string' },
    mode: { type: 'string', default: 'None' },
    /** Where the first *.gguf is linked as model.gguf; absent: nowhere. */
    'run-dir': { type: 'string' },
    /** Decides the probe of an integer model. */
    'pod-uid': { type: 'string', default: '' },
    'termination-log': { type: 'string', default: '/dev/termination-log' },
  },
});

/** Kubernetes keeps this much of a termination message. */
const TERMINATION_LIMIT = 4096;

const leave = async (message: object): Promise<void> => {
  const text = JSON.stringify(message);
  console.log(text);
  await writeFile(values['termination-log'], text).catch((error: unknown) =>
    console.error(`the termination message cannot be written: ${String(error)}`),
  );
};

try {
  const { dir, 'manifest-sha256': manifestSha256 } = values;
  if (dir === undefined || manifestSha256 === undefined) throw new ManifestMismatch('', 'want --dir and --manifest-sha256');
  const verified = await verifyFolder(
    await openFolder(dir),
    {
      verificationRoot,
      answer: (program, weights, input) => run(loadModel(program, weights), input),
      inputLength: (program) => decodeProgram(program).inputLength,
    },
    {
      manifestSha256,
      mode: modeSchema.parse(values.mode),
      podUid: values['pod-uid'],
      sha256: (bytes) => createHash('sha256').update(bytes).digest(),
    },
  );
  const { manifest, bytes, probe } = verified;
  const gguf = manifest.files.find(({ path }) => path.endsWith('.gguf'));
  if (values['run-dir'] !== undefined && gguf !== undefined) {
    const link = join(values['run-dir'], 'model.gguf');
    await rm(link, { force: true });
    await symlink(join(dir, gguf.path), link);
  }
  const message = {
    manifestSha256,
    ...(verified.verificationRoot === undefined ? {} : { verificationRoot: verified.verificationRoot }),
    ...(manifest.quantization === undefined ? {} : { quantization: manifest.quantization }),
    ...(probe === undefined ? {} : { probe: { inputHex: bytesToHex(probe.input), outputHex: bytesToHex(probe.output) } }),
    files: manifest.files.length,
    bytes,
  };
  if (JSON.stringify(message).length > TERMINATION_LIMIT) {
    throw new ManifestMismatch(
      manifest.integer?.program ?? '',
      'the model takes or gives too many bytes for a probe in the termination message',
    );
  }
  await leave(message);
} catch (error) {
  const file = error instanceof ManifestMismatch ? error.file : '';
  await leave({ error: (error instanceof Error ? error.message : String(error)).slice(0, 1500), file: file.slice(0, 500) });
  process.exitCode = 1;
}
