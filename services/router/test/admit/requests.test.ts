import { describe, expect, test } from 'vitest';

import { fixedParams, parseChatRequest } from '../../src/admit/chat-request.ts';
import { Concurrency } from '../../src/admit/concurrency.ts';
import { credentialOf } from '../../src/admit/credentials.ts';
import { chatBound, DEFAULT_MAX_TOKENS } from '../../src/admit/hold.ts';
import { inferBody, inferInput, inferOutput } from '../../src/admit/infer-request.ts';
import { isRefusal } from '../../src/admit/refusals.ts';
import { ReplayWindow } from '../../src/admit/replay-window.ts';
import { decodeVoucher, encodeVoucher } from '../../src/admit/voucher-header.ts';
import { baseUnits } from '@cupel/protocol/money';

const bytes = (value: unknown): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const CHANNEL = `0x${'01'.repeat(32)}`;

describe('credentials', () => {
  const voucher = encodeVoucher({ maxClaimableAmount: baseUnits(7n), signature: `0x${'ab'.repeat(64)}` });
  test.each([
    ['none', {}, 'missing_credentials'],
    ['basic', { authorization: 'Basic eDp5' }, 'invalid_api_key'],
    ['an empty key', { authorization: 'Bearer ' }, 'invalid_api_key'],
    ['a voucher without channel', { 'x-cupel-voucher': voucher }, 'invalid_field'],
    ['a channel without voucher', { 'x-cupel-channel': CHANNEL }, 'invalid_field'],
    ['a short voucher', { 'x-cupel-channel': CHANNEL, 'x-cupel-voucher': voucher.slice(1) }, 'invalid_field'],
  ])('%s is refused', (_name, headers, reason) => expect(credentialOf(headers)).toMatchObject({ reason }));

  test('a bearer key, and a voucher that wins over it', () => {
    expect(credentialOf({ authorization: 'Bearer ck-1' })).toEqual({ kind: 'apiKey', apiKey: 'ck-1' });
    expect(credentialOf({ authorization: 'Bearer ck-1', 'x-cupel-channel': CHANNEL, 'x-cupel-voucher': voucher })).toMatchObject({
      kind: 'voucher',
      channelId: CHANNEL,
      voucher: { maxClaimableAmount: 7n },
    });
  });

  test('a voucher header survives its round trip', () => {
    const v = { maxClaimableAmount: baseUnits((1n << 128n) - 1n), signature: `0x${'0f'.repeat(64)}` as const };
    expect(decodeVoucher(encodeVoucher(v))).toEqual(v);
  });
});

describe('a chat request', () => {
  const good = { model: 'm', messages: [{ role: 'user', content: 'x' }] };
  test.each([
    ['no JSON', '{', 'malformed_json', undefined],
    ['an array', '[]', 'malformed_json', undefined],
    ['broken UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'malformed_json', undefined],
    ['no model', { messages: good.messages }, 'invalid_field', 'model'],
    ['no messages', { model: 'm' }, 'invalid_field', 'messages'],
    ['empty messages', { ...good, messages: [] }, 'invalid_field', 'messages'],
    ['stream as text', { ...good, stream: 'yes' }, 'invalid_field', 'stream'],
    ['a negative limit', { ...good, max_tokens: -1 }, 'invalid_field', 'max_tokens'],
    ['too many choices', { ...good, n: 99 }, 'invalid_field', 'n'],
    ['two limits that differ', { ...good, max_tokens: 9, max_completion_tokens: 10 }, 'invalid_field', 'max_completion_tokens'],
    [
      'an image',
      { ...good, messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://x' } }] }] },
      'invalid_field',
      undefined,
    ],
    [
      'audio',
      { ...good, messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }, { type: 'input_audio' }] }] },
      'invalid_field',
      undefined,
    ],
    [
      'content that is neither text nor parts',
      { ...good, messages: [{ role: 'user', content: { type: 'text' } }] },
      'invalid_field',
      undefined,
    ],
    ['spoken answers', { ...good, modalities: ['audio'] }, 'invalid_field', 'modalities.0'],
    ["an engine's own field", { ...good, cache_prompt: true }, 'invalid_field', 'cache_prompt'],
  ])('%s is refused by name', (_name, body, reason, param) => {
    const result = parseChatRequest(body instanceof Uint8Array ? body : bytes(body));
    expect(result).toMatchObject({ reason, ...(param === undefined ? {} : { param }) });
  });

  test('text parts, no content and the same limit twice are fine', () => {
    const messages = [
      { role: 'user', content: [{ type: 'text', text: 'x' }] },
      { role: 'assistant', content: null, tool_calls: [] },
      { role: 'assistant', tool_calls: [] },
    ];
    expect(parseChatRequest(bytes({ model: 'm', messages, max_tokens: 9, max_completion_tokens: 9 }))).toMatchObject({ maxTokens: 9 });
  });

  test('nulls are as good as absent; the newer limit counts too', () => {
    const r = parseChatRequest(bytes({ ...good, seed: null, max_tokens: null, max_completion_tokens: 9, stream: null }));
    expect(r).toMatchObject({ seed: undefined, maxTokens: 9, namesMaxTokens: false, stream: false });
    expect(isRefusal(r) ? r : fixedParams(r)).toEqual({ max_tokens: 9, stream: false });
  });

  test('the seed that engines take for "random" is as good as none: the edge will name one', () => {
    expect(parseChatRequest(bytes({ ...good, seed: 2 ** 32 - 1 }))).toMatchObject({ seed: undefined });
    expect(parseChatRequest(bytes({ ...good, seed: 2 ** 32 - 2 }))).toMatchObject({ seed: 2 ** 32 - 2 });
  });

  test('a hold covers every token that could come', () => {
    const r = parseChatRequest(bytes({ ...good, n: 2 }));
    if (isRefusal(r)) throw new Error(r.message);
    expect(chatBound(100, r)).toEqual({ inputUnits: 356n, outputUnits: BigInt(2 * DEFAULT_MAX_TOKENS) });
  });
});

describe('an inference request', () => {
  test('flat and nested data give the same bytes', () => {
    const flat = { inputs: [{ name: 'i', datatype: 'UINT8', shape: [1, 3], data: [1, 2, 3] }] };
    const nested = { inputs: [{ name: 'i', datatype: 'UINT8', shape: [1, 3], data: [[1, 2, 3]] }] };
    expect(inferInput(bytes(flat))).toEqual(Uint8Array.of(1, 2, 3));
    expect(inferInput(bytes(nested))).toEqual(Uint8Array.of(1, 2, 3));
    expect(inferInput(bytes(inferBody(Uint8Array.of(9, 8))))).toEqual(Uint8Array.of(9, 8));
  });

  test.each([
    ['another type', { datatype: 'FP32' }, 'inputs.0.datatype'],
    ['a wrong shape', { shape: [1, 4] }, 'inputs.0.data'],
    ['a value out of range', { data: [1, 2, 256] }, 'inputs.0.data'],
    ['a fraction', { data: [1, 2, 0.5] }, 'inputs.0.data'],
  ])('%s is refused by name', (_name, change, param) => {
    const input = { name: 'i', datatype: 'UINT8', shape: [1, 3], data: [1, 2, 3], ...change };
    const refusal = inferInput(bytes({ inputs: [input] }));
    expect(refusal).toMatchObject({ reason: 'invalid_field' });
    expect(isRefusal(refusal) && refusal.param?.startsWith(param)).toBe(true);
  });

  test('an answer with two tensors or none is no answer', () => {
    const t = { name: 'o', datatype: 'UINT8', shape: [1, 1], data: [1] };
    expect(inferOutput(bytes({ outputs: [t] }))).toEqual(Uint8Array.of(1));
    expect(inferOutput(bytes({ outputs: [t, t] }))).toBeUndefined();
    expect(inferOutput(bytes('no'))).toBeUndefined();
  });
});

describe('limits', () => {
  test('one tenant cannot take every place; a place is given back once', () => {
    const c = new Concurrency({ perTenant: 2, total: 3 });
    const a = c.enter('a');
    expect(isRefusal(c.enter('a'))).toBe(false);
    expect(c.enter('a')).toMatchObject({ reason: 'too_many_requests' });
    expect(isRefusal(c.enter('b'))).toBe(false);
    expect(c.enter('b')).toMatchObject({ reason: 'too_many_requests' });
    if (!isRefusal(a)) [a(), a()].forEach(() => undefined);
    expect(c.inFlight).toBe(2);
    expect(isRefusal(c.enter('b'))).toBe(false);
  });

  test('an id is admitted once while it is remembered, and the memory is bounded', () => {
    const w = new ReplayWindow({ capacity: 2, keepMs: 100 });
    expect([w.admit('a', 0), w.admit('a', 50), w.admit('b', 60), w.admit('a', 101)]).toEqual([true, false, true, true]);
    for (const id of ['c', 'd', 'e', 'f']) w.admit(id, 102);
    expect(w.admit('a', 103)).toBe(true);
  });
});
