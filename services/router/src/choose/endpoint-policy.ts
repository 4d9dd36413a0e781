import { contains, embeddedIPv4, parseCidr, parseIp } from './ip-address.ts';
import type { Cidr, IpAddress } from './ip-address.ts';

/**
 * Which addresses a gateway may dial for a provider. A provider's URL is a stranger's word: without this, anybody could register a URL and
 * make the gateway ask its own cluster. Names are checked by what they resolve to, at connect time.
 */
export interface EndpointPolicy {
  /** undefined: fine; else why not, for logs and metrics. */
  refuseAddress(text: string): string | undefined;
  /** The same for a URL as registered: scheme, credentials, and the host when it is an address. */
  refuseUrl(url: string): string | undefined;
}

export class EndpointPolicyError extends Error {
  override readonly name = 'EndpointPolicyError';
}

type Class = readonly [name: string, ranges: readonly string[]];

/** Never allowed, whatever the configuration says. Sources: RFC 6890 and its registries; cloud vendors' metadata addresses. */
const NEVER: readonly Class[] = [
  ['the metadata service', ['169.254.169.254/32', '169.254.170.2/32', '100.100.100.200/32', '168.63.129.16/32', 'fd00:ec2::254/128']],
  ['loopback', ['127.0.0.0/8', '::1/128']],
  ['unspecified', ['0.0.0.0/8', '::/128']],
  ['link-local', ['169.254.0.0/16', 'fe80::/10']],
  ['multicast', ['224.0.0.0/4', 'ff00::/8']],
  ['broadcast or reserved', ['240.0.0.0/4']],
  ['Teredo', ['2001::/32']],
  // RFC 8215: where the IPv4 address stands inside, the network's owner decides, so it cannot be unwrapped.
  ['local-use NAT64', ['64:ff9b:1::/48']],
];

/** Allowed only where a configured CIDR covers it. */
const PRIVATE: readonly Class[] = [
  ['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7', 'fec0::/10']],
  ['carrier-grade NAT', ['100.64.0.0/10']],
  [
    'documentation or benchmarking',
    ['192.0.0.0/24', '192.0.2.0/24', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32', '100::/64'],
  ],
];

const compile = (classes: readonly Class[]): { name: string; range: Cidr }[] =>
  classes.flatMap(([name, ranges]) => ranges.map((text) => ({ name, range: parseCidr(text)! })));

const NEVER_RANGES = compile(NEVER);
const PRIVATE_RANGES = compile(PRIVATE);

const cidr = (text: string, field: string): Cidr => {
  const range = parseCidr(text);
  if (!range) throw new EndpointPolicyError(`${field}: "${text}" is not an address or CIDR; write it as 10.0.0.0/8`);
  return range;
};

/** Throws {@link EndpointPolicyError} for a CIDR that cannot be read or that would allow what never may be. */
export const endpointPolicy = (options: {
  readonly allowedCIDRs: readonly string[];
  readonly deniedAddresses: readonly string[];
}): EndpointPolicy => {
  const allowed = options.allowedCIDRs.map((text) => cidr(text, 'endpointPolicy.allowedCIDRs'));
  const denied = options.deniedAddresses.map((text) => cidr(text, 'endpointPolicy.deniedAddresses'));
  for (const [i, range] of allowed.entries()) {
    const never = NEVER_RANGES.find(({ range: n }) => contains(n, range.address) && range.bits >= n.bits);
    if (never) {
      throw new EndpointPolicyError(
        `endpointPolicy.allowedCIDRs: "${options.allowedCIDRs[i]}" is ${never.name}, which can never be allowed; remove it`,
      );
    }
  }
  const check = (ip: IpAddress): string | undefined => {
    const inside = embeddedIPv4(ip);
    // ::1 and :: look like compatible addresses; their own class comes first.
    const never = NEVER_RANGES.find(({ range }) => contains(range, ip));
    if (never) return never.name;
    if (denied.some((range) => contains(range, ip))) return 'a denied address';
    if (inside) {
      const why = check(inside);
      return why === undefined ? undefined : `${why} inside an IPv6 address`;
    }
    if (allowed.some((range) => contains(range, ip))) return undefined;
    return PRIVATE_RANGES.find(({ range }) => contains(range, ip))?.name;
  };
  const refuseAddress = (text: string): string | undefined => {
    const ip = parseIp(text);
    return ip ? check(ip) : 'not an IP address';
  };
  return {
    refuseAddress,
    refuseUrl(text) {
      if (text.length > 2048 || !URL.canParse(text)) return 'not a URL';
      const url = new URL(text);
      if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'neither http nor https';
      if (url.username !== '' || url.password !== '') return 'a URL with credentials';
      if (url.search !== '' || url.hash !== '') return 'a URL with a query or fragment';
      return parseIp(url.hostname) ? refuseAddress(url.hostname) : undefined;
    },
  };
};
