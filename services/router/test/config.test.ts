import { describe, expect, test } from 'vitest';

import { routerConfig } from '../src/config.ts';

const address = `0x${'01'.repeat(20)}`;
const base = {
  role: 'gateway',
  scope: 'gateway.test',
  nats: { url: 'nats://nats:4222', userFile: '/u', passwordFile: '/p' },
  market: {
    chainId: 1,
    rpc: [{ name: 'a', url: 'http://rpc' }],
    contracts: {
      stakeToken: address,
      paymentToken: address,
      stakeVault: address,
      modelRegistry: address,
      paymentChannels: address,
      claimManager: address,
      disputeManager: address,
    },
  },
  gateway: { models: { assistant: { manifestSha256: 'a'.repeat(64), kind: 'chat' } } },
};

describe('configuration', () => {
  test('defaults: no private range allowed, 1 MiB bodies', () => {
    const config = routerConfig.parse(base);
    expect(config.gateway?.endpointPolicy).toEqual({ allowedCIDRs: [], deniedAddresses: [] });
    expect(config.limits.bodyBytes).toBe(1_048_576);
    expect(config.listenPort).toBe(8080);
  });

  test.each([
    ['no gateway section', { gateway: undefined }, 'gateway'],
    ['no edge section', { role: 'edge' }, 'edge'],
    ['an unknown key', { speed: 1 }, ''],
    ['a scope of another shape', { scope: 'gateway' }, 'scope'],
    [
      'a hash with 0x',
      { gateway: { models: { a: { manifestSha256: `0x${'a'.repeat(64)}`, kind: 'chat' } } } },
      'gateway.models.a.manifestSha256',
    ],
    [
      'an integer model without its root',
      { gateway: { models: { a: { manifestSha256: 'a'.repeat(64), kind: 'integer' } } } },
      'gateway.models.a.verificationRoot',
    ],
    [
      'an integer model with a zero root',
      { gateway: { models: { a: { manifestSha256: 'a'.repeat(64), kind: 'integer', verificationRoot: `0x${'00'.repeat(32)}` } } } },
      'gateway.models.a.verificationRoot',
    ],
    ['answers too large for the bus', { limits: { answerBytes: 8_000_000 } }, 'limits.answerBytes'],
  ])('%s is refused by name', (_what, change, path) => {
    const parsed = routerConfig.safeParse({ ...base, ...change });
    expect(parsed.success).toBe(false);
    expect(parsed.error?.issues.map((i) => i.path.join('.'))).toContain(path);
  });
});
