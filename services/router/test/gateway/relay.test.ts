import { expect, test } from 'vitest';

import { Relay } from '../../src/gateway/relay.ts';
import type { RelayEnd } from '../../src/gateway/relay.ts';
import { UpstreamError } from '../../src/stream/exchange.ts';
import { FakeCall, FakeReply } from './fakes.ts';

const content = (text: string): string => `data: ${JSON.stringify({ choices: [{ delta: { content: text } }] })}\n\n`;
const DONE = 'data: [DONE]\n\n';

const open = (limit = 10_000) => {
  const reply = new FakeReply();
  const call = new FakeCall();
  const ends: RelayEnd[] = [];
  const relay = new Relay({ reply, call, limit, first: () => reply.head(200, {}), ended: (end) => ends.push(end) });
  call.sink = relay;
  return { reply, call, relay, ends, feed: (text: string) => relay.data(Buffer.from(text)) };
};

test('only whole events reach the client, [DONE] waits for the receipt, and all bytes are kept for the hash', () => {
  const { feed, reply, relay, ends } = open();
  const whole = content('a') + content('b') + DONE;
  feed(whole.slice(0, 20));
  expect(reply.started).toBe(false);
  feed(whole.slice(20, 60));
  feed(whole.slice(60));
  relay.end({ 'x-cupel-receipt': 'r' });
  expect(reply.written.join('')).toBe(content('a') + content('b'));
  expect(ends[0]!.relayed.tail.toString()).toBe(DONE);
  expect(reply.written.every((w) => w.endsWith('\n\n'))).toBe(true);
  expect(ends).toMatchObject([{ trailers: { 'x-cupel-receipt': 'r' }, relayed: { contentChunks: 2, done: true, failedInside: false } }]);
  expect(ends[0]!.relayed.bytes.toString()).toBe(whole);
});

test('a slow client pauses the provider until it drains', () => {
  const { feed, reply, call } = open();
  reply.reads = false;
  feed(content('a'));
  expect(call.did).toEqual(['pause']);
  reply.drain();
  expect(call.did).toEqual(['pause', 'resume']);
});

test('a client that leaves while the provider is paused aborts it: no deadlock', () => {
  const { feed, reply, call, relay, ends } = open();
  reply.reads = false;
  feed(content('a'));
  reply.leave();
  relay.clientLeft();
  expect(call.did).toEqual(['pause', 'abort']);
  expect(ends).toMatchObject([{ error: { kind: 'aborted' }, relayed: { contentChunks: 1, done: false } }]);
});

test('a client that leaves after [DONE] aborts nothing: the receipt is still to come', () => {
  const { feed, reply, call, relay, ends } = open();
  reply.reads = false;
  feed(content('a') + DONE);
  reply.leave();
  relay.clientLeft();
  expect(call.did).toEqual(['pause', 'resume']);
  relay.end({});
  expect(ends).toMatchObject([{ relayed: { done: true } }]);
});

test('a cut leaves no half event at the client', () => {
  const { feed, reply, relay, ends } = open();
  feed(content('a') + 'data: {"cho');
  relay.failed(new UpstreamError('cut', 'reset', { sent: true }));
  expect(reply.written.join('')).toBe(content('a'));
  expect(ends).toMatchObject([{ error: { kind: 'cut' }, relayed: { done: false } }]);
});

test('a stream without end is aborted at the limit', () => {
  const { feed, call, ends } = open(100);
  feed(content('x'.repeat(200)));
  expect(call.did).toEqual(['abort']);
  expect(ends).toHaveLength(1);
});

test('an error event of the edge is noticed', () => {
  const { feed, relay, ends } = open();
  feed(content('a') + 'data: {"error":{"message":"x"}}\n\n');
  relay.end({});
  expect(ends).toMatchObject([{ relayed: { failedInside: true, done: false } }]);
});
