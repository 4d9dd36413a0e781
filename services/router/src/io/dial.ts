import { lookup as dnsLookup } from 'node:dns';
import { lookup } from 'node:dns/promises';
import type { LookupAddress, LookupAllOptions } from 'node:dns';
import { isIP } from 'node:net';
import type { LookupFunction } from 'node:net';

import { buildConnector } from 'undici';

import type { EndpointPolicy } from '../choose/endpoint-policy.ts';

/** The address behind a provider's URL may not be dialled. */
export class RefusedAddress extends Error {
  override readonly name = 'RefusedAddress';
}

/** The addresses of a host: itself when it is one. Rejects when a name cannot be resolved. */
export const addressesOf = async (host: string): Promise<string[]> =>
  isIP(host) === 0 ? (await lookup(host, { all: true })).map(({ address }) => address) : [host];

/** Resolves a name to all of its addresses. */
export type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

const systemResolve: Resolve = (hostname, options, callback) => dnsLookup(hostname, options, callback);

/** A look-up that fails when any address of the name is refused: one bad answer among good ones is an attack, not a choice. */
export const guardedLookup =
  (policy: EndpointPolicy, resolve: Resolve = systemResolve): LookupFunction =>
  (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      for (const { address } of addresses) {
        const why = policy.refuseAddress(address);
        if (why !== undefined) return callback(new RefusedAddress(`${hostname} resolves to ${address}: ${why}`), []);
      }
      const first = addresses[0];
      if (!first) return callback(new RefusedAddress(`${hostname} resolves to nothing`), []);
      if (options.all) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };

/** Connects only where `policy` allows: literal addresses, every resolved address, and the address that the socket really reached. */
export const guardedConnector = (policy: EndpointPolicy, timeoutMs: number, resolve?: Resolve): buildConnector.connector => {
  const connect = buildConnector({ timeout: timeoutMs, allowH2: false, lookup: guardedLookup(policy, resolve) });
  return (options, callback) => {
    const literal = options.hostname.replace(/^\[(.*)\]$/, '$1');
    // A literal address is never looked up.
    const why = isIP(literal) === 0 ? undefined : policy.refuseAddress(literal);
    if (why !== undefined) return callback(new RefusedAddress(`${literal}: ${why}`), null);
    connect(options, (...result) => {
      const [error, socket] = result;
      if (error) return callback(error, null);
      const reached = policy.refuseAddress(socket.remoteAddress ?? '');
      if (reached === undefined) return callback(null, socket);
      socket.destroy();
      callback(new RefusedAddress(`the connection reached ${socket.remoteAddress ?? 'no address'}: ${reached}`), null);
    });
  };
};
