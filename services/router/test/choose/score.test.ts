import { describe, expect, test } from 'vitest';

import { PrefixIndex, prefixBlocks } from '../../src/choose/affinity.ts';
import { PeakEwma } from '../../src/choose/latency.ts';
import { choose, scoreOf, DEFAULT_CHOICE, SCAN_LIMIT } from '../../src/choose/score.ts';
import type { Rated } from '../../src/choose/score.ts';

const even = (candidate: string): Rated<string> => ({
  candidate,
  latencyMs: 100,
  inFlight: 0,
  price: 1000,
  reputation: 0.9,
  affinity: 0,
  healthy: true,
});
const pick = (...rated: Rated<string>[]): string | undefined => choose(rated, () => 0);

describe('the choice of a provider', () => {
  // With all else equal the first of two wins; each row makes the second win by one thing alone.
  test.each<[string, Partial<Rated<string>>, Partial<Rated<string>>]>([
    ['a lower price', {}, { price: 900 }],
    ['a lower latency', {}, { latencyMs: 90 }],
    ['less load', { inFlight: 1 }, {}],
    ['a closed breaker', { healthy: false }, {}],
    ['a better reputation', {}, { reputation: 1 }],
    ['a warm prefix', {}, { affinity: 0.5 }],
  ])('%s alone flips it', (_what, first, second) => {
    expect(pick(even('a'), even('b'))).toBe('a');
    expect(pick({ ...even('a'), ...first }, { ...even('b'), ...second })).toBe('b');
    expect(pick({ ...even('a'), ...second }, { ...even('b'), ...first })).toBe('a');
  });

  test('a liar whose price is a tenth is not chosen once its reputation is gone', () => {
    expect(pick({ ...even('cheat'), price: 100, reputation: 0 }, even('honest'))).toBe('honest');
  });

  test('nothing is chosen when nothing is healthy', () => {
    expect(pick({ ...even('a'), healthy: false })).toBeUndefined();
    expect(pick()).toBeUndefined();
  });

  test('an endpoint that was never asked is tried, but not by everybody at once', () => {
    expect(pick(even('known'), { ...even('new'), latencyMs: 0 })).toBe('new');
    expect(pick(even('known'), { ...even('new'), latencyMs: 0, inFlight: 1 })).toBe('known');
  });

  test('ties are spread by the random start', () => {
    const three = ['a', 'b', 'c'].map(even);
    expect([0, 0.34, 0.67].map((r) => choose(three, () => r))).toEqual(['a', 'b', 'c']);
  });

  test('above the scan limit two are drawn and the better one wins', () => {
    const many = Array.from({ length: SCAN_LIMIT + 1 }, (_, i) => ({ ...even(`p${i}`), price: 1000 - i }));
    const draws = [10 / many.length, 20 / (many.length - 1)];
    expect(choose(many, () => draws.shift()!)).toBe('p31');
    expect(choose(many.slice(0, SCAN_LIMIT), () => 0)).toBe(`p${SCAN_LIMIT - 1}`);
  });

  test('the score grows with latency × load × price ÷ reputation', () => {
    const base = scoreOf(even('a'), DEFAULT_CHOICE);
    expect(scoreOf({ ...even('a'), inFlight: 1 }, DEFAULT_CHOICE)).toBeCloseTo(2 * base);
    expect(scoreOf({ ...even('a'), reputation: 0.45 }, DEFAULT_CHOICE)).toBeCloseTo(2 * base);
    expect(scoreOf({ ...even('a'), price: 2000 }, { ...DEFAULT_CHOICE, alpha: 2 })).toBeCloseTo(4 * base * 1000);
  });
});

describe('peak-EWMA', () => {
  test('jumps up at once, comes down slowly, fades while nobody asks', () => {
    const ewma = new PeakEwma(1000);
    expect(ewma.get('a', 0)).toBe(0);
    ewma.observe('a', 100, 0);
    ewma.observe('a', 500, 10);
    expect(ewma.get('a', 10)).toBe(500);
    ewma.observe('a', 100, 20);
    expect(ewma.get('a', 20)).toBeGreaterThan(450);
    expect(ewma.get('a', 20)).toBeLessThan(500);
    expect(ewma.get('a', 10_000)).toBeLessThan(1);
  });
});

describe('prefix affinity', () => {
  const prompt = Buffer.from('p'.repeat(1024));
  test('the same tenant finds its prefix again, as far as it goes', () => {
    const index = new PrefixIndex(100);
    index.remember(prefixBlocks('t1', prompt), 'e1');
    const longer = prefixBlocks('t1', Buffer.concat([prompt, Buffer.from('q'.repeat(1024))]));
    expect(longer).toHaveLength(8);
    expect(index.affinity(longer, 'e1')).toBe(0.5);
    expect(index.affinity(longer, 'e2')).toBe(0);
  });

  test('another tenant with the same prompt finds nothing', () => {
    const index = new PrefixIndex(100);
    index.remember(prefixBlocks('t1', prompt), 'e1');
    expect(index.affinity(prefixBlocks('t2', prompt), 'e1')).toBe(0);
  });

  test('the index is bounded', () => {
    const index = new PrefixIndex(4);
    const first = prefixBlocks('t1', prompt);
    index.remember(first, 'e1');
    index.remember(prefixBlocks('t3', prompt), 'e1');
    expect(index.affinity(first, 'e1')).toBe(0);
  });
});
