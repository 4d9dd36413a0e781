import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { expect, test } from 'vitest';

import { loadModel, run } from '@cupel/integer/run';
import { verifyFolder } from '../src/manifest/verify.ts';
import { verifiedMessage } from '../src/reconcilers/modelprovider/workload.ts';

const CLI = join(import.meta.dirname, '../src/cli/verify-manifest.ts');
const DIGITS = join(import.meta.dirname, '../../../models/digits');
const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

interface Outcome {
  readonly code: number;
  readonly message: Record<string, unknown>;
  readonly runDir: string;
}

const verify = async (dir: string, manifestSha256: string, mode = 'None', podUid = 'pod-1'): Promise<Outcome> => {
  const scratch = await mkdtemp(join(tmpdir(), 'cupel-verify-'));
  const log = join(scratch, 'termination');
  const args = [
    CLI,
    '--dir',
    dir,
    '--manifest-sha256',
    manifestSha256,
    '--mode',
    mode,
    '--run-dir',
    scratch,
    '--pod-uid',
    podUid,
    '--termination-log',
    log,
  ];
  const code = await promisify(execFile)(process.execPath, args).then(
    () => 0,
    (error: unknown) => (typeof error === 'object' && error !== null && 'code' in error ? Number(error.code) : -1),
  );
  return { code, message: JSON.parse(await readFile(log, 'utf8')) as Record<string, unknown>, runDir: scratch };
};

/** A folder with a manifest over `files`; `lies` are put there instead of what the manifest says. */
const folder = async (files: Record<string, string>, lies: Record<string, string> = {}): Promise<{ dir: string; hash: string }> => {
  const dir = await mkdtemp(join(tmpdir(), 'cupel-model-'));
  for (const [path, text] of Object.entries({ ...files, ...lies })) {
    await mkdir(join(dir, path, '..'), { recursive: true });
    await writeFile(join(dir, path), text);
  }
  const manifest = JSON.stringify({
    version: 1,
    name: 'm',
    quantization: 'Q4_1',
    files: Object.entries(files).map(([path, text]) => ({
      path,
      size: text.length,
      sha256: sha256(text),
      cid: `b${'a'.repeat(30)}`,
      profile: 'raw',
    })),
  });
  await writeFile(join(dir, 'cupel-manifest.json'), manifest);
  return { dir, hash: sha256(manifest) };
};

test('digits: root and probe come from the bytes, and the probe from the pod', async () => {
  const hash = sha256(await readFile(join(DIGITS, 'cupel-manifest.json')));
  const [one, two] = await Promise.all([
    verify(DIGITS, hash, 'IntegerExecution', 'pod-1'),
    verify(DIGITS, hash, 'IntegerExecution', 'pod-2'),
  ]);
  expect(one.code).toBe(0);
  const message = verifiedMessage.parse(one.message);
  expect(message).toMatchObject({ manifestSha256: hash, files: 2, bytes: 17_424 });
  expect(message.probe?.inputHex).not.toBe(verifiedMessage.parse(two.message).probe?.inputHex);
  const model = loadModel(await readFile(join(DIGITS, 'program.bin')), await readFile(join(DIGITS, 'weights.bin')));
  const answer = run(model, Buffer.from(message.probe!.inputHex.slice(2), 'hex'));
  expect(Buffer.from(answer).toString('hex')).toBe(message.probe!.outputHex.slice(2));
  expect(JSON.stringify(one.message).length).toBeLessThan(4096);
});

test('the first gguf is linked where engines look for it', async () => {
  const { dir, hash } = await folder({ 'sub/model.gguf': 'GGUF', 'other.txt': 'x' });
  const { code, message, runDir } = await verify(dir, hash);
  expect(code).toBe(0);
  expect(message).toMatchObject({ quantization: 'Q4_1', files: 2, bytes: 5 });
  expect(await readlink(join(runDir, 'model.gguf'))).toBe(join(dir, 'sub/model.gguf'));
});

test('every mismatch ends with 1 and names the file', async () => {
  const good = { 'a.bin': 'aaaa', 'b.bin': 'bbbb' };
  const flipped = await folder(good, { 'b.bin': 'bbbc' });
  expect(await verify(flipped.dir, flipped.hash)).toMatchObject({
    code: 1,
    message: { file: 'b.bin', error: expect.stringContaining('sha256') as string },
  });
  const short = await folder(good, { 'a.bin': 'aaa' });
  expect(await verify(short.dir, short.hash)).toMatchObject({
    code: 1,
    message: { file: 'a.bin', error: expect.stringContaining('3 bytes') as string },
  });
  const right = await folder(good);
  expect(await verify(right.dir, 'ab'.repeat(32))).toMatchObject({ code: 1, message: { file: 'cupel-manifest.json' } });
  expect(await verify(right.dir, right.hash, 'IntegerExecution')).toMatchObject({
    code: 1,
    message: { error: expect.stringContaining('"integer"') as string },
  });
});

test('links out of the folder and climbing paths are refused', async () => {
  const { dir, hash } = await folder({ 'a.bin': 'aaaa' });
  const elsewhere = await mkdtemp(join(tmpdir(), 'cupel-else-'));
  await writeFile(join(elsewhere, 'a.bin'), 'aaaa');
  const linked = await mkdtemp(join(tmpdir(), 'cupel-linked-'));
  await writeFile(join(linked, 'cupel-manifest.json'), await readFile(join(dir, 'cupel-manifest.json')));
  await symlink(join(elsewhere, 'a.bin'), join(linked, 'a.bin'));
  expect(await verify(linked, hash)).toMatchObject({
    code: 1,
    message: { file: 'a.bin', error: expect.stringContaining('symbolic link') as string },
  });

  const text = (await readFile(join(dir, 'cupel-manifest.json'), 'utf8')).replace('"a.bin"', '"../a.bin"');
  await writeFile(join(linked, 'cupel-manifest.json'), text);
  expect(await verify(linked, sha256(text))).toMatchObject({ code: 1, message: { error: expect.stringContaining('..') as string } });
});

test('integer weights that no arbiter could be shown are refused, however right they are', async () => {
  const check = async (size: number) => {
    const root = `0x${'11'.repeat(32)}` as const;
    const parts: Record<string, Uint8Array> = { 'program.bin': new Uint8Array(8), 'weights.bin': new Uint8Array(size) };
    const files = Object.entries(parts).map(([path, bytes]) => ({
      path,
      size: bytes.length,
      sha256: sha256(bytes),
      cid: `b${'a'.repeat(30)}`,
      profile: 'raw',
    }));
    const integer = { program: 'program.bin', weights: 'weights.bin', verificationRoot: root };
    const text = JSON.stringify({ version: 1, name: 'm', files, integer });
    parts['cupel-manifest.json'] = Buffer.from(text);
    return verifyFolder(
      {
        read: async (path) => parts[path]!,
        digest: async (path) => ({ size: parts[path]!.length, sha256: sha256(parts[path]!) }),
      },
      { verificationRoot: () => root, answer: () => new Uint8Array(10), inputLength: () => 4 },
      {
        manifestSha256: sha256(text),
        mode: 'IntegerExecution',
        podUid: 'p',
        sha256: (bytes) => createHash('sha256').update(bytes).digest(),
      },
    );
  };
  await expect(check(24_576)).rejects.toMatchObject({
    file: 'weights.bin',
    message: expect.stringContaining('no answer could be disputed') as string,
  });
  expect((await check(24_575)).probe?.output).toHaveLength(10);
});
