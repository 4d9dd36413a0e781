import { expect, test } from 'vitest';

import { EngineStream } from '../../src/edge/engine-stream.ts';
import type { EngineStreamEnd } from '../../src/edge/engine-stream.ts';
import { UpstreamError } from '../../src/stream/exchange.ts';
import { FakeCall, FakeReply } from '../gateway/fakes.ts';

const chunk = (value: object): string => `data: ${JSON.stringify(value)}\n\n`;
const ROLE = chunk({ choices: [{ delta: { role: 'assistant' } }] });
const A = chunk({ choices: [{ delta: { content: 'a' } }] });
const USAGE = chunk({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 9 } });
const DONE = 'data: [DONE]\n\n';

const open = (wantsUsage = false) => {
  const reply = new FakeReply();
  const call = new FakeCall();
  const ends: EngineStreamEnd[] = [];
  const stream = new EngineStream({
    reply,
    call,
    wantsUsage,
    limit: 10_000,
    begin: () => reply.head(200, {}),
    ended: (end) => ends.push(end),
  });
  call.sink = stream;
  return { reply, call, stream, ends, feed: (text: string) => stream.data(Buffer.from(text)) };
};
const sent = (end: EngineStreamEnd): string => end.sent.toString();

test('the usage chunk stays back unless it was asked for, and is counted either way', () => {
  for (const wants of [false, true]) {
    const { feed, reply, stream, ends } = open(wants);
    feed(ROLE + A + USAGE + DONE);
    stream.end({});
    expect(reply.written.join('')).toBe(ROLE + A + (wants ? USAGE : '') + DONE);
    expect(ends).toMatchObject([{ done: true, contentChunks: 1, usage: { promptTokens: 3, completionTokens: 9 }, error: undefined }]);
    expect(sent(ends[0]!)).toBe(reply.written.join(''));
  }
});

test('nothing is sent before the first content: an engine that dies early can be replaced', () => {
  const { feed, reply, stream, ends } = open();
  feed(ROLE);
  stream.failed(new UpstreamError('cut', 'reset', { sent: true }));
  expect(reply.started).toBe(false);
  expect(ends).toMatchObject([{ done: false, error: { kind: 'cut' } }]);
  expect(ends[0]!.sent).toHaveLength(0);
});

test('an end without [DONE] is a failure', () => {
  const { feed, stream, ends } = open();
  feed(A);
  stream.end({});
  expect(ends[0]!.error?.message).toContain('[DONE]');
  expect(sent(ends[0]!)).toBe(A);
});

test("an engine's own error event is not passed on as it is, and ends the stream", () => {
  const { feed, call, reply, ends } = open();
  feed(A + chunk({ error: { message: 'secret path /models/x' } }) + A);
  expect(call.did).toEqual(['abort']);
  expect(reply.written.join('')).toBe(A);
  expect(ends).toMatchObject([{ done: false, contentChunks: 1 }]);
});

test('a gateway that leaves stops the engine; what came later is neither sent nor counted', () => {
  const { feed, call, reply, stream, ends } = open();
  feed(A);
  reply.leave();
  feed(A + A);
  stream.clientLeft();
  expect(call.did).toEqual(['abort']);
  expect(ends).toMatchObject([{ contentChunks: 1, done: false }]);
  expect(sent(ends[0]!)).toBe(A);
});

test('back-pressure holds the engine', () => {
  const { feed, call, reply } = open();
  reply.reads = false;
  feed(A);
  reply.drain();
  expect(call.did).toEqual(['pause', 'resume']);
});
