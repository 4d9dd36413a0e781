import { describe, expect, test } from 'vitest';

import { endpointPolicy } from '../../src/choose/endpoint-policy.ts';

const strict = endpointPolicy({ allowedCIDRs: [], deniedAddresses: ['203.0.114.7', '10.96.0.1'] });
const cluster = endpointPolicy({ allowedCIDRs: ['10.0.0.0/8', 'fd12::/16'], deniedAddresses: ['10.96.0.1'] });
/** Even the widest allowance must not open what never may be. */
const widest = endpointPolicy({ allowedCIDRs: ['0.0.0.0/0', '::/0'], deniedAddresses: ['10.96.0.1'] });

describe('addresses', () => {
  const NEVER: [string, string][] = [
    ['127.0.0.1', 'loopback'],
    ['127.8.9.10', 'loopback'],
    ['::1', 'loopback'],
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'unspecified'],
    ['::', 'unspecified'],
    ['169.254.1.1', 'link-local'],
    ['fe80::1', 'link-local'],
    ['fe80::1%eth0', 'link-local'],
    ['169.254.169.254', 'metadata'],
    ['fd00:ec2::254', 'metadata'],
    ['100.100.100.200', 'metadata'],
    ['168.63.129.16', 'metadata'],
    ['224.0.0.1', 'multicast'],
    ['239.255.255.250', 'multicast'],
    ['ff02::1', 'multicast'],
    ['255.255.255.255', 'reserved'],
    ['240.0.0.1', 'reserved'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['::ffff:169.254.169.254', 'metadata'],
    ['::127.0.0.1', 'loopback'],
    ['64:ff9b::a9fe:a9fe', 'metadata'],
    ['2002:7f00:1::', 'loopback'],
    ['2001:0:1::1', 'Teredo'],
    ['64:ff9b:1::a9fe:a9fe', 'NAT64'],
    ['64:ff9b:1:a9fe:a9:fe00::', 'NAT64'],
  ];
  test.each(NEVER)('%s is %s, whatever is allowed', (address, why) => {
    expect(strict.refuseAddress(address)).toContain(why);
    expect(widest.refuseAddress(address)).toContain(why);
  });

  test.each([
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    'fc00::1',
    'fd12::1',
    '198.18.0.1',
    '192.0.2.1',
    '2001:db8::1',
    '::ffff:10.1.2.3',
  ])('%s is private: refused by default', (address) => expect(strict.refuseAddress(address)).toBeDefined());

  test.each(['8.8.8.8', '172.32.0.1', '1.1.1.1', '2606:4700::1111', '100.128.0.1'])('%s is public', (address) => {
    expect(strict.refuseAddress(address)).toBeUndefined();
  });

  test('an allowed CIDR lifts only what it covers', () => {
    expect(cluster.refuseAddress('10.42.0.7')).toBeUndefined();
    expect(cluster.refuseAddress('::ffff:10.42.0.7')).toBeUndefined();
    expect(cluster.refuseAddress('fd12::7')).toBeUndefined();
    expect(cluster.refuseAddress('192.168.0.7')).toBe('private');
    expect(cluster.refuseAddress('fd13::7')).toBe('private');
  });

  test("the API server's address is refused even inside an allowed CIDR, also in other clothes", () => {
    expect(cluster.refuseAddress('10.96.0.1')).toBe('a denied address');
    expect(cluster.refuseAddress('::ffff:10.96.0.1')).toContain('a denied address');
    expect(widest.refuseAddress('10.96.0.1')).toBe('a denied address');
    expect(strict.refuseAddress('203.0.114.7')).toBe('a denied address');
  });

  test.each(['', 'localhost', '1.2.3', '1.2.3.4.5', '01.2.3.4', '256.1.1.1', '1::2::3', ':::', '12345::'])('%j is no address', (text) => {
    expect(strict.refuseAddress(text)).toBe('not an IP address');
  });
});

describe('URLs', () => {
  test.each([
    ['ftp://provider.example', 'neither http nor https'],
    ['file:///etc/passwd', 'neither http nor https'],
    ['http://user:pw@provider.example', 'credentials'],
    ['http://user@provider.example', 'credentials'],
    ['http://provider.example/?next=http://x', 'query'],
    ['not a url', 'not a URL'],
    ['http://127.0.0.1:8080', 'loopback'],
    ['http://2130706433/', 'loopback'],
    ['http://0x7f.1/', 'loopback'],
    ['http://017700000001/', 'loopback'],
    ['http://127.1/', 'loopback'],
    ['http://[::1]:8080/', 'loopback'],
    ['http://[::ffff:169.254.169.254]/', 'metadata'],
    ['http://169.254.169.254/latest/meta-data', 'metadata'],
    [`http://${'a'.repeat(2100)}.example`, 'not a URL'],
  ])('%s is refused', (url, why) => expect(strict.refuseUrl(url)).toContain(why));

  test.each(['https://provider.example', 'http://edge.ns.svc:8080', 'https://provider.example/base', 'http://8.8.8.8:81'])(
    '%s passes',
    (url) => {
      expect(strict.refuseUrl(url)).toBeUndefined();
    },
  );
});

describe('configuration', () => {
  test.each(['127.0.0.0/8', '127.0.0.1', '169.254.169.254/32', 'fe80::/64', '224.0.0.0/4'])('%s can never be allowed', (cidr) => {
    expect(() => endpointPolicy({ allowedCIDRs: [cidr], deniedAddresses: [] })).toThrow(/allowedCIDRs.*never be allowed/);
  });
  test.each(['10.0.0.0/33', 'ten', '10.0.0.0/8/8', ''])('%j is no CIDR', (cidr) => {
    expect(() => endpointPolicy({ allowedCIDRs: [cidr], deniedAddresses: [] })).toThrow(/allowedCIDRs/);
    expect(() => endpointPolicy({ allowedCIDRs: [], deniedAddresses: [cidr] })).toThrow(/deniedAddresses/);
  });
});
