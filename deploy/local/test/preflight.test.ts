import { describe, expect, it } from 'vitest';
import { atLeast, parseVersion } from '../src/preflight.ts';
import { missingCapabilities } from '../src/preflight-kernel.ts';
import { refusingSetting, subordinateIdsCheck } from '../src/preflight-user.ts';

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

describe('subordinateIdsCheck', () => {
  const check = (text: string) => subordinateIdsCheck('/etc/subuid', text, 'ada', '1001');
  it.each(['ada:100000:65536\n', '# people\nbob:100000:65536\n1001:165536:65535\n'])('is content with %j', (text) => {
    expect(check(text)).toMatchObject({ ok: true, layer: 'cluster' });
  });
  it('says which line to add, behind every range that is taken', () => {
    expect(check('')).toMatchObject({
      ok: false,
      found: 'no line for ada',
      remedy: expect.stringContaining('echo ada:100000:65536 >>/etc/subuid'),
    });
    expect(check('bob:200000:65536\nadam:100000:65536')).toMatchObject({
      ok: false,
      remedy: expect.stringContaining('echo ada:265536:65536 '),
    });
  });
  it('counts the first range only, as unshare does', () => {
    expect(check('ada:1000:10\nada:100000:65536')).toMatchObject({ ok: false, found: '10 ids from 1000; 65535 are needed' });
  });
});

describe('refusingSetting', () => {
  it.each([
    ['kernel.unprivileged_userns_clone', '0\n', '1'],
    ['user.max_user_namespaces', '0\n', '15000'],
    ['kernel.apparmor_restrict_unprivileged_userns', '1\n', '0'],
  ])('%s = %j', (name, value, good) => {
    expect(refusingSetting({ [name]: value })).toEqual({
      found: `refused: ${name} is ${value.trim()}`,
      remedy: `as root: sysctl -w ${name}=${good}`,
    });
  });
  it('finds nothing in settings that allow it, or in none', () => {
    expect(refusingSetting({})).toBeUndefined();
    const open = { 'kernel.unprivileged_userns_clone': '1\n', 'user.max_user_namespaces': '96365\n' };
    expect(refusingSetting({ ...open, 'kernel.apparmor_restrict_unprivileged_userns': '0\n' })).toBeUndefined();
  });
});
