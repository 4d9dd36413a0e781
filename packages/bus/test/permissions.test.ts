import { describe, expect, it } from 'vitest';

import { renderAccounts, renderNatsConfig } from '../src/nats-config.ts';
import { BUS_ROLES, permissionsOf } from '../src/permissions.ts';
import type { BusRole } from '../src/permissions.ts';

const user = (role: BusRole) => ({
  user: role,
  role,
  ...(role === 'operator' || role === 'watcher'
    ? {}
    : { scope: role.startsWith('edge') || role === 'defender' ? 'edge.honest.edge' : 'gateway.main' }),
});

describe('permissionsOf', () => {
  it('never gives the whole of JetStream, another inbox, or everything', () => {
    for (const role of BUS_ROLES) {
      const { publish, subscribe } = permissionsOf(user(role));
      expect([...publish, ...subscribe]).not.toContain('>');
      expect(publish.filter((s) => /^\$JS\.API\.(?:>|STREAM\.(?:>|DELETE|PURGE))/.test(s))).toEqual([]);
      expect(publish.filter((s) => s.startsWith('$JS.API.CONSUMER.DELETE'))).toEqual([]);
      expect(subscribe.filter((s) => s.startsWith('_INBOX'))).toEqual([`_INBOX_${role}.>`]);
    }
  });

  it('lets one role write one bucket', () => {
    const writers = (bucket: string) => BUS_ROLES.filter((role) => permissionsOf(user(role)).publish.includes(`$KV.${bucket}.>`));
    expect(writers('registry')).toEqual(['watcher']);
    expect(writers('engines')).toEqual(['operator']);
    expect(writers('reputation')).toEqual(['verifier']);
  });

  it('lets only the operator and a gateway make streams of receipts, since a stream may take any subject', () => {
    const makers = BUS_ROLES.filter((role) =>
      permissionsOf(user(role)).publish.some((subject) => /^\$JS\.API\.STREAM\.(?:CREATE|UPDATE)\.(?!KV_)/.test(subject)),
    );
    expect(makers).toEqual(['operator', 'gateway-payment']);
  });

  it('names the calls of a router one by one: no payload, no consent', () => {
    for (const role of ['edge-router', 'gateway-router'] as const) {
      const calls = permissionsOf(user(role)).publish.flatMap((subject) => /\.payment\.(.*)$/.exec(subject)?.[1] ?? []);
      const own = role === 'edge-router' ? ['session'] : ['authenticate', 'outgoing'];
      expect(calls).toEqual(['lease', 'release', 'voucher', 'charge', 'receipt', ...own]);
    }
  });

  it('needs a scope, and one of an edge for an edge', () => {
    expect(() => permissionsOf({ user: 'r', role: 'edge-router' })).toThrow(/needs a scope/);
    expect(() => permissionsOf({ user: 'r', role: 'edge-router', scope: 'edge.*.*' })).toThrow(/needs a scope/);
    expect(() => permissionsOf({ user: 'r', role: 'edge-router', scope: 'gateway.main' })).toThrow(/no scope of an edge/);
  });
});

describe('renderNatsConfig', () => {
  const account = { name: 'cluster', users: [{ ...user('watcher'), password: 'a-password-of-20-ch.' }] };

  it('syncs every write and takes 8 MiB', () => {
    const text = renderNatsConfig({ accounts: [account], storeDir: '/data' });
    expect(text).toContain('sync_interval: always');
    expect(text).toContain('max_payload: 8388608');
  });

  it('refuses weak and dangerous passwords without repeating them', () => {
    const weak = () => renderAccounts([{ ...account, users: [{ ...user('watcher'), password: 'short' }] }]);
    expect(weak).toThrow(/shorter than 16/);
    const broken = () => renderAccounts([{ ...account, users: [{ ...user('watcher'), password: 'x'.repeat(20) + '", permissions: {' }] }]);
    expect(broken).toThrow(/quote or a backslash/);
    expect(broken).not.toThrow(/xxxx/);
  });
});
