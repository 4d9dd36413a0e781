import { describe, expect, test } from 'vitest';

import { checkMac, readSignedHeaders, signedHeaders, ZERO_HASH } from '../../src/admit/session-mac.ts';
import { isRefusal } from '../../src/admit/refusals.ts';
import { equalBytes, hmac } from '../../src/io/crypto.ts';

const KEY = `0x${'11'.repeat(32)}` as const;
const INPUT = `0x${'22'.repeat(32)}` as const;
const request = {
  requestId: `0x${'33'.repeat(32)}` as const,
  channelId: `0x${'44'.repeat(32)}` as const,
  versionId: `0x${'55'.repeat(32)}` as const,
  salt: `0x${'66'.repeat(32)}` as const,
  timestamp: 1_000_000n,
};
const headers = signedHeaders(hmac, KEY, request, INPUT);
const deps = { hmac, equal: equalBytes };

const verdict = (change: Record<string, string>, key = KEY, input: `0x${string}` = INPUT): string => {
  const read = readSignedHeaders({ ...headers, ...change }, 1_000_060n);
  if (isRefusal(read)) return `${read.reason} ${read.param ?? ''}`.trim();
  return checkMac(deps, key, read, input)?.reason ?? 'ok';
};

describe('the MAC between gateway and edge', () => {
  test('what is signed is read back', () => expect(verdict({})).toBe('ok'));

  test('known answer: HMAC-SHA256 over the fields in their order', () => {
    expect(headers['x-cupel-mac']).toBe(
      Buffer.from(
        hmac(
          Buffer.from('11'.repeat(32), 'hex'),
          Buffer.from(
            `${'33'.repeat(32)}${'44'.repeat(32)}${'55'.repeat(32)}${'22'.repeat(32)}${(1_000_000).toString(16).padStart(16, '0')}`,
            'hex',
          ),
        ),
      ).toString('hex'),
    );
  });

  test.each([
    ['x-cupel-request-id', `0x${'34'.repeat(32)}`],
    ['x-cupel-channel', `0x${'45'.repeat(32)}`],
    ['x-cupel-version-id', `0x${'56'.repeat(32)}`],
    ['x-cupel-timestamp', '1000001'],
    ['x-cupel-mac', '0'.repeat(64)],
  ])('another %s does not fit', (name, value) => expect(verdict({ [name]: value })).toBe('session_bad_mac'));

  test('another body or another key does not fit', () => {
    expect(verdict({}, KEY, ZERO_HASH)).toBe('session_bad_mac');
    expect(verdict({}, `0x${'12'.repeat(32)}`)).toBe('session_bad_mac');
  });

  test.each([
    ['x-cupel-request-id', '0x33'],
    ['x-cupel-salt', ''],
    ['x-cupel-timestamp', '-1'],
    ['x-cupel-timestamp', '99999999999999999999'],
    ['x-cupel-mac', 'F'.repeat(64)],
    ['x-cupel-voucher', 'AAAA'],
  ])('a malformed %s is named', (name, value) => expect(verdict({ [name]: value })).toBe(`invalid_field ${name}`));

  test.each([
    ['1000181', 'request_stale'],
    ['999939', 'request_stale'],
    ['1000180', 'session_bad_mac'],
  ])('a timestamp of %s at 1000060: %s', (timestamp, expected) => expect(verdict({ 'x-cupel-timestamp': timestamp })).toBe(expected));
});
