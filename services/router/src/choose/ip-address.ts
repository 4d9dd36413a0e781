/** An IP address as a number; version 4 or 6. IPv4 inside IPv6 (mapped, compatible, NAT64, 6to4) is unwrapped by {@link embeddedIPv4}. */
export interface IpAddress {
  readonly version: 4 | 6;
  readonly value: bigint;
}

export interface Cidr {
  readonly address: IpAddress;
  readonly bits: number;
}

const parseIPv4 = (text: string): bigint | undefined => {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
};

const parseIPv6 = (text: string): bigint | undefined => {
  const zoneless = text.split('%')[0]!;
  const lastColon = zoneless.lastIndexOf(':');
  const tail = zoneless.slice(lastColon + 1);
  let source = zoneless;
  if (tail.includes('.')) {
    const v4 = parseIPv4(tail);
    if (v4 === undefined) return undefined;
    source = `${zoneless.slice(0, lastColon + 1)}${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`;
  }
  const halves = source.split('::');
  if (halves.length > 2) return undefined;
  const groups = (half: string): string[] => (half === '' ? [] : half.split(':'));
  const head = groups(halves[0]!);
  const rest = halves.length === 2 ? groups(halves[1]!) : [];
  const missing = 8 - head.length - rest.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...head, ...Array.from({ length: missing }, () => '0'), ...rest];
  let value = 0n;
  for (const group of all) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
    value = (value << 16n) | BigInt(`0x${group}`);
  }
  return value;
};

/** Only the plain notations that a resolver or a socket gives: "10.0.0.1", "fe80::1%eth0", "[::1]". */
export const parseIp = (text: string): IpAddress | undefined => {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  const value = bare.includes(':') ? parseIPv6(bare) : parseIPv4(bare);
  return value === undefined ? undefined : { version: bare.includes(':') ? 6 : 4, value };
};

/** "10.0.0.0/8"; a bare address is a range of one. */
export const parseCidr = (text: string): Cidr | undefined => {
  const [ip, bitsText, more] = text.split('/');
  const address = parseIp(ip ?? '');
  if (!address || more !== undefined) return undefined;
  const width = address.version === 4 ? 32 : 128;
  if (bitsText === undefined) return { address, bits: width };
  if (!/^\d{1,3}$/.test(bitsText) || Number(bitsText) > width) return undefined;
  return { address, bits: Number(bitsText) };
};

export const contains = (range: Cidr, ip: IpAddress): boolean => {
  if (range.address.version !== ip.version) return false;
  const shift = BigInt((ip.version === 4 ? 32 : 128) - range.bits);
  return range.address.value >> shift === ip.value >> shift;
};

const V6 = (text: string): Cidr => parseCidr(text)!;
const LOW_32: readonly Cidr[] = [V6('::ffff:0:0/96'), V6('::ffff:0:0:0/96'), V6('64:ff9b::/96'), V6('::/96')];
const SIX_TO_FOUR = V6('2002::/16');

/** The IPv4 address that an IPv6 one really reaches, if any: mapped, translated, NAT64, compatible, 6to4. */
export const embeddedIPv4 = (ip: IpAddress): IpAddress | undefined => {
  if (ip.version !== 6) return undefined;
  if (LOW_32.some((range) => contains(range, ip))) return { version: 4, value: ip.value & 0xffff_ffffn };
  if (contains(SIX_TO_FOUR, ip)) return { version: 4, value: (ip.value >> 80n) & 0xffff_ffffn };
  return undefined;
};
