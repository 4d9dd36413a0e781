import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { readChatEvent } from '../../src/stream/chat-events.ts';
import { GrowingBytes } from '../../src/stream/growing-bytes.ts';
import { duplicateKey, spliceMembers } from '../../src/stream/splice.ts';
import { SseError, SseSplitter } from '../../src/stream/sse.ts';

describe('server-sent events', () => {
  test('property: however the bytes are cut, the events are the same and no byte is lost', () => {
    const event = fc.array(fc.constantFrom('data: {"a":"é"}', ': ping', 'event: x', 'data: [DONE]'), { minLength: 1, maxLength: 3 });
    const stream = fc.array(fc.tuple(event, fc.constantFrom('\n', '\r\n')), { maxLength: 8 });
    fc.assert(
      fc.property(stream, fc.array(fc.nat(40), { maxLength: 30 }), (events, cuts) => {
        const texts = events.map(([lines, eol]) => lines.join(eol) + eol + eol);
        const bytes = Buffer.from(texts.join(''));
        const splitter = new SseSplitter();
        const got: string[] = [];
        let at = 0;
        for (const cut of [...cuts, bytes.length]) {
          for (const e of splitter.push(bytes.subarray(at, at + cut))) got.push(e.toString());
          at = Math.min(at + cut, bytes.length);
        }
        expect(got).toEqual(texts);
        expect(splitter.rest.length).toBe(0);
      }),
    );
  });

  test('an event of 200,000 pieces costs no more than its bytes', () => {
    const splitter = new SseSplitter();
    const byte = Buffer.from('a');
    const startedAt = performance.now();
    for (let i = 0; i < 200_000; i++) splitter.push(byte);
    expect(splitter.push(Buffer.from('\n\n'))[0]).toHaveLength(200_002);
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });

  test('nothing that is kept holds the network buffer that it came in', () => {
    const slab = Buffer.alloc(65_536, 'data: 1\n\nrest ');
    const splitter = new SseSplitter();
    const [event] = splitter.push(slab.subarray(0, 14));
    expect([event!.toString(), splitter.rest.toString()]).toEqual(['data: 1\n\n', 'rest ']);
    expect(event!.buffer).not.toBe(slab.buffer);
    expect(splitter.rest.buffer).not.toBe(slab.buffer);
    const kept = new GrowingBytes();
    kept.append(slab.subarray(0, 4));
    kept.append(slab.subarray(4, 7));
    expect([kept.view().toString(), kept.view().buffer === slab.buffer]).toEqual(['data: 1', false]);
  });

  test('half an event stays back; one that grows without end is refused', () => {
    const splitter = new SseSplitter();
    expect(splitter.push(Buffer.from('data: 1\n\ndata: 2\n'))).toHaveLength(1);
    expect(splitter.rest.toString()).toBe('data: 2\n');
    expect(() => splitter.push(Buffer.alloc(1_100_000, 0x61))).toThrow(SseError);
  });
});

describe('chat events', () => {
  const chunk = (value: object): Buffer => Buffer.from(`data: ${JSON.stringify(value)}\n\n`);
  test.each<[string, Buffer, string]>([
    ['content', chunk({ choices: [{ delta: { content: 'x' } }] }), 'content'],
    ['reasoning', chunk({ choices: [{ delta: { reasoning_content: 'x' } }] }), 'content'],
    ['a tool call', chunk({ choices: [{ delta: { tool_calls: [{}] } }] }), 'content'],
    ['a role', chunk({ choices: [{ delta: { role: 'assistant', content: null } }] }), 'other'],
    ['an empty delta', chunk({ choices: [{ delta: { content: '' } }] }), 'other'],
    ['usage', chunk({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 2 } }), 'usage'],
    ['an error', chunk({ error: { message: 'x' } }), 'error'],
    ['the end', Buffer.from('data: [DONE]\n\n'), 'done'],
    ['the end without space', Buffer.from('data:[DONE]\r\n\r\n'), 'done'],
    ['a comment', Buffer.from(': keep-alive\n\n'), 'other'],
    ['nonsense', Buffer.from('data: {nope\n\n'), 'other'],
    ['a null', Buffer.from('data: null\n\n'), 'other'],
    ['broken usage', chunk({ choices: [], usage: { prompt_tokens: -1 } }), 'other'],
  ])('%s', (_what, bytes, kind) => expect(readChatEvent(bytes).kind).toBe(kind));

  test('usage beside content is read and not taken for the usage chunk', () => {
    expect(readChatEvent(chunk({ choices: [{ delta: { content: 'x' } }], usage: { prompt_tokens: 3, completion_tokens: 4 } }))).toEqual({
      kind: 'content',
      usage: { promptTokens: 3, completionTokens: 4 },
    });
  });
});

describe('splicing', () => {
  const text = (body: string, set: Record<string, unknown>): string => spliceMembers(Buffer.from(body), set).toString();

  test('a new member goes first, an old one is replaced where it stands, all other bytes stay', () => {
    expect(text('{ "a": 1.0,\n "b":[1,{"seed":2}] }', { seed: 7 })).toBe('{"seed":7, "a": 1.0,\n "b":[1,{"seed":2}] }');
    expect(text('{"seed" : null , "a":"}"}', { seed: 7 })).toBe('{"seed" : 7 , "a":"}"}');
    expect(text(' {}', { seed: 7 })).toBe(' {"seed":7}');
    expect(text('{"a":"\\"seed\\":1,"}', { seed: 7, n: 1 })).toBe('{"seed":7,"n":1,"a":"\\"seed\\":1,"}');
    expect(text('{"s\\u0065ed":1}', { seed: 7 })).toBe('{"s\\u0065ed":7}');
  });

  test('a key that stands twice is found, however it is written', () => {
    expect(duplicateKey(Buffer.from('{"a":1,"b":{"a":2}}'))).toBeUndefined();
    expect(duplicateKey(Buffer.from('{"a":1,"\\u0061":2}'))).toBe('a');
  });

  test('property: the result parses to the object with the members set', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 }),
        fc.constantFrom(undefined, 2),
        (object, set, indent) => {
          const plain = JSON.parse(JSON.stringify(object)) as Record<string, unknown>;
          const result: unknown = JSON.parse(spliceMembers(Buffer.from(JSON.stringify(plain, null, indent)), set).toString());
          expect(result).toEqual(JSON.parse(JSON.stringify({ ...plain, ...set })));
          expect(duplicateKey(spliceMembers(Buffer.from(JSON.stringify(plain)), set))).toBeUndefined();
        },
      ),
    );
  });
});
