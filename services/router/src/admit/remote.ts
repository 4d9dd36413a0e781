import { embeddedIPv4, parseIp } from '../choose/ip-address.ts';

/** Who one remote address counts as: an IPv4 address as it is, an IPv6 one by its /64, of which one host may have every address. */
export const remoteOf = (address: string): string => {
  const ip = parseIp(address);
  if (!ip) return address;
  const v4 = embeddedIPv4(ip) ?? ip;
  return v4.version === 4 ? `4 ${v4.value}` : `6 ${v4.value >> 64n}`;
};
