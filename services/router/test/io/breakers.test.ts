import { eventually } from '@cupel/testing/wait';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { Breakers } from '../../src/io/breakers.ts';

let breakers: Breakers;
let states: [string, number][];

beforeEach(() => {
  states = [];
  breakers = new Breakers({
    volume: 3,
    failurePercent: 50,
    windowMs: 5000,
    resetMs: 60,
    onState: (key, state) => void states.push([key, state]),
  });
});
afterEach(() => breakers[Symbol.dispose]());

const fail = (key: string, times: number): void => {
  for (let i = 0; i < times; i++) breakers.begin(key).failed('status 502');
};
const opened = (key: string) => eventually('open', () => !breakers.allows(key), 1000);

test('opens on failures of one endpoint, not of another', async () => {
  fail('a', 4);
  await opened('a');
  expect(breakers.allows('b')).toBe(true);
  expect(states).toEqual([['a', 2]]);
});

test('clients that leave never count, however many they are', async () => {
  for (let i = 0; i < 100; i++) breakers.begin('a').dropped();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(breakers.allows('a')).toBe(true);
});

test('half open lets one trial through at a time; its success closes', async () => {
  fail('a', 4);
  await opened('a');
  await eventually('half open', () => breakers.allows('a'), 1000);
  const trial = breakers.begin('a');
  expect(breakers.allows('a')).toBe(false);
  trial.dropped();
  expect(breakers.allows('a')).toBe(true);
  breakers.begin('a').succeeded();
  await eventually('closed', () => states.at(-1)?.[1] === 0, 1000);
  expect(breakers.allows('a')).toBe(true);
});

test('a failed trial opens it again', async () => {
  fail('a', 4);
  await opened('a');
  await eventually('half open', () => breakers.allows('a'), 1000);
  breakers.begin('a').failed('status 502');
  await opened('a');
  expect(states.map(([, state]) => state)).toEqual([2, 1, 2]);
});

test('only the first outcome of a ticket counts', async () => {
  const ticket = breakers.begin('a');
  ticket.dropped();
  for (let i = 0; i < 10; i++) ticket.failed('late');
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(breakers.allows('a')).toBe(true);
});
