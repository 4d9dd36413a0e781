import { describe, expect, it } from 'vitest';
import { atLeast, missingCapabilities, parseVersion } from '../src/preflight.ts';

describe('parseVersion', () => {
  it.each([
    ['go version go1.26.8 linux/amd64', [1, 26, 8]],
    ['v24.21.0', [24, 21, 0]],
    ['OpenSSL 3.0.19 27 Jan 2026', [3, 0, 19]],
    ['GNU Make 4.3', [4, 3]],
    ['no number', []],
  ])('%s', (text, version) => {
    expect(parseVersion(text)).toEqual(version);
  });
});

describe('atLeast', () => {
  it.each([
    [[1, 26, 8], [1, 26], true],
    [[1, 9], [1, 26], false],
    [[2, 0], [1, 26], true],
    [[3, 9, 1], [3, 10], false],
    [[3, 10], [3, 10], true],
    [[20], [20], true],
    [[], [1], false],
  ])('%j is at least %j: %s', (found, wanted, answer) => {
    expect(atLeast(found, wanted)).toBe(answer);
  });
});

describe('missingCapabilities', () => {
  const wanted = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21 };
  it('reads the effective set', () => {
    expect(missingCapabilities('CapPrm:\t0\nCapEff:\t000001ffffffffff\n', wanted)).toEqual([]);
    expect(missingCapabilities('CapEff:\t0000000000001000\n', wanted)).toEqual(['CAP_SYS_ADMIN']);
  });
  it('takes a status without the line as "none"', () => {
    expect(missingCapabilities('', wanted)).toEqual(['CAP_NET_ADMIN', 'CAP_SYS_ADMIN']);
  });
});
