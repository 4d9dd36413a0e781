import type { Hex } from '@cupel/protocol/hex';
import { receiptRoot } from '@cupel/protocol/receipt-tree';
import { hexToBytes, bytesToHex } from '@cupel/protocol/hex';
import { describe, expect, it } from 'vitest';

import { commitData, commitOf, inOrder, isDrawn, setRootOf } from '../src/sample/epoch.ts';
import { hashOf, keccak } from './arrange.ts';

const digests = Array.from({ length: 4000 }, (_, i) => hashOf(i));
const drawnAt = (rate: number, beacon = hashOf(-1), seed = hashOf(-2)): Hex[] =>
  digests.filter((digest) => isDrawn(keccak, { beacon, seed, digest, rate }));

describe('the draw', () => {
  it('gives the same sample again', () => expect(drawnAt(0.3)).toEqual(drawnAt(0.3)));

  it.each([0.05, 0.25, 0.5, 0.9])('keeps the rate %s within five standard deviations', (rate) => {
    const deviation = Math.sqrt(digests.length * rate * (1 - rate));
    expect(Math.abs(drawnAt(rate).length - digests.length * rate)).toBeLessThan(5 * deviation);
  });

  it('draws nothing at rate 0 and everything at rate 1', () => {
    expect(drawnAt(0)).toEqual([]);
    expect(drawnAt(1)).toEqual(digests);
  });

  it('draws with a lower rate only what a higher rate draws', () => {
    const high = new Set(drawnAt(0.6));
    expect(drawnAt(0.2).every((digest) => high.has(digest))).toBe(true);
  });

  it('is another one with another beacon, and with another seed', () => {
    expect(drawnAt(0.3, hashOf(-3))).not.toEqual(drawnAt(0.3));
    expect(drawnAt(0.3, hashOf(-1), hashOf(-3))).not.toEqual(drawnAt(0.3));
  });
});

describe('the commitment', () => {
  const held = [3, 1, 2].map((n) => ({ digest: hashOf(n), heldAtMs: 10 * n }));

  it('names one root for one set, in whatever order it comes', () => {
    expect(setRootOf(keccak, held)).toBe(setRootOf(keccak, held.toReversed()));
    const sorted = [1, 2, 3].map((n) => hexToBytes(hashOf(n), 32));
    expect(setRootOf(keccak, held)).toBe(bytesToHex(receiptRoot(keccak, sorted)));
  });

  it('orders what was held at one time by digest', () => {
    const twins = [hashOf(1), hashOf(2)].map((digest) => ({ digest, heldAtMs: 5 }));
    expect(inOrder(twins)).toEqual(inOrder(twins.toReversed()));
  });

  it('names another root when a receipt is missing, and none for no receipt', () => {
    expect(setRootOf(keccak, held.slice(1))).not.toBe(setRootOf(keccak, held));
    expect(() => setRootOf(keccak, [])).toThrow(RangeError);
  });

  it('binds the seed and the number of the epoch', () => {
    const commits = [commitOf(keccak, hashOf(1), 1), commitOf(keccak, hashOf(1), 2), commitOf(keccak, hashOf(2), 1)];
    expect(new Set(commits).size).toBe(3);
    expect(commitData(hashOf(1), hashOf(2))).toBe(`${hashOf(1)}${hashOf(2).slice(2)}`);
  });
});
