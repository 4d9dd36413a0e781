import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { outputHash } from '@cupel/integer/tensor';
import { run } from '@cupel/integer/run';
import { bytesToHex, utf8 } from '@cupel/protocol/hex';
import { word } from '@cupel/testing/builders';
import { describe, expect, it } from 'vitest';

import { replayInteger } from '../src/replay/integer.ts';
import { ReplayError, readDelivered, readOwnAnswer, replayRequest } from '../src/replay/chat.ts';
import { WrongWeights, loadIntegerModel } from '../src/replay/manifest.ts';
import type { WeightFolder } from '../src/replay/manifest.ts';

const DIGITS = join(import.meta.dirname, '../../../models/digits');
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The digits model, with files replaced. */
const folderOf = (changed: Readonly<Record<string, Uint8Array>> = {}): WeightFolder => {
  const read = async (path: string): Promise<Uint8Array> => changed[path] ?? new Uint8Array(readFileSync(join(DIGITS, path)));
  return {
    name: 'digits',
    read,
    async digest(path) {
      const bytes = await read(path);
      return { size: bytes.length, sha256: sha256(bytes) };
    },
  };
};
const manifestBytes = new Uint8Array(readFileSync(join(DIGITS, 'cupel-manifest.json')));
const bent = (file: string): Uint8Array => {
  const bytes = new Uint8Array(readFileSync(join(DIGITS, file)));
  bytes[bytes.length - 1]! ^= 1;
  return bytes;
};

describe('weights', () => {
  it('load when every hash fits', async () => {
    const { verificationRoot } = await loadIntegerModel(folderOf(), sha256(manifestBytes), sha256);
    expect(verificationRoot).toMatch(/^0x[0-9a-f]{64}$/);
  });
  it.each(['program.bin', 'weights.bin'])('are refused when %s has another bit', async (file) => {
    await expect(loadIntegerModel(folderOf({ [file]: bent(file) }), sha256(manifestBytes), sha256)).rejects.toThrow(WrongWeights);
  });
  it('are refused under another manifest', async () => {
    await expect(loadIntegerModel(folderOf(), 'ab'.repeat(32), sha256)).rejects.toThrow(/sha256/);
  });
  it('are refused when the manifest names a root that they do not give', async () => {
    const manifest = JSON.parse(new TextDecoder().decode(manifestBytes)) as { integer: { verificationRoot: string } };
    manifest.integer.verificationRoot = word(1);
    const bytes = utf8(JSON.stringify(manifest));
    await expect(loadIntegerModel(folderOf({ 'cupel-manifest.json': bytes }), sha256(bytes), sha256)).rejects.toThrow(/verification root/);
  });
});

describe('an integer answer computed again', () => {
  it('has one right hash, whatever was delivered', async () => {
    const loaded = await loadIntegerModel(folderOf(), sha256(manifestBytes), sha256);
    const input = Uint8Array.from({ length: 196 }, (_, i) => i);
    const output = run(loaded.model, input);
    const lie = Uint8Array.from(output, (b) => b ^ 1);
    const payload = { salt: word(1), input: bytesToHex(input), output: bytesToHex(lie) };
    const { kept, right } = replayInteger(loaded, payload);
    expect(right).toBe(outputHash(output));
    expect(kept.outputHash).toBe(outputHash(lie));
    expect(replayInteger(loaded, { ...payload, input: '0x0102' }).right).toBeUndefined();
  });
});

describe('a chat asked again', () => {
  const request = {
    model: 'm',
    messages: [{ role: 'user', content: 'hi' }],
    stream: true,
    stream_options: { include_usage: true },
    temperature: 0.8,
  };
  it('is the same request in one piece, with the signed seed and limit', () => {
    const { stream: _s, stream_options: _o, ...rest } = request;
    expect(replayRequest(utf8(JSON.stringify(request)), { seed: 7, max_tokens: 20 })).toEqual({
      ...rest,
      seed: 7,
      max_tokens: 20,
      stream: false,
    });
  });
  it('keeps the limit of the client', () =>
    expect(replayRequest(utf8(JSON.stringify({ ...request, max_completion_tokens: 5 })), { max_tokens: 20 })).not.toHaveProperty(
      'max_tokens',
    ));
  it.each(['', '[]', 'null', '"x"', '{'])('refuses %j', (text) => expect(() => replayRequest(utf8(text), {})).toThrow(ReplayError));

  it('reads a stream and a whole answer as the same text', () => {
    const chunks = [
      { choices: [{ index: 0, delta: { role: 'assistant', content: null }, finish_reason: null }] },
      { choices: [{ index: 0, delta: { content: 'A small' }, finish_reason: null }] },
      { choices: [{ index: 0, delta: { content: ' dish.' }, finish_reason: null }] },
      { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
      { choices: [], usage: { prompt_tokens: 3, completion_tokens: 4 } },
    ];
    const sse = `${chunks.map((c) => `data: ${JSON.stringify(c)}\n\n`).join('')}data: [DONE]\n\n`;
    const whole = {
      choices: [{ index: 0, message: { role: 'assistant', content: 'A small dish.' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 3, completion_tokens: 4 },
    };
    const streamed = readDelivered(utf8(sse), true);
    expect(streamed).toEqual({ text: 'A small dish.', finishReason: 'stop' });
    expect(readDelivered(utf8(JSON.stringify(whole)), false)).toEqual(streamed);
    expect(readOwnAnswer(whole)).toEqual({ ...streamed, promptTokens: 3, completionTokens: 4 });
  });

  it('reads what came of a stream that was cut', () => {
    const cut = `data: ${JSON.stringify({ choices: [{ delta: { content: 'A sm' } }] })}\n\ndata: {"choices":[{"delta":{"con`;
    expect(readDelivered(utf8(cut), true)).toEqual({ text: 'A sm', finishReason: undefined });
  });

  it('compares calls of tools too', () => {
    const call = (city: string) => ({
      choices: [{ message: { content: null, tool_calls: [{ function: { name: 'weather', arguments: `{"city":"${city}"}` } }] } }],
    });
    expect(readDelivered(utf8(JSON.stringify(call('Rome'))), false)).not.toEqual(readDelivered(utf8(JSON.stringify(call('Bonn'))), false));
  });
  it('refuses an own answer without usage', () => expect(() => readOwnAnswer({ choices: [] })).toThrow(ReplayError));
});
