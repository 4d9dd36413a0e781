import { bytesToHex, concatBytes, hexToBytes, uintToBytes, utf8 } from './hex.ts';
import type { Hex } from './hex.ts';

/**
 * EIP-712 for Cupel's frozen structs. All of their fields are static, so a struct is its type hash followed by one word per field. The
 * hash function comes in as an argument: a service passes a fast one, a test a plain one.
 *
 * Source: EIP-712; struct strings: docs/specs/signed-messages.md.
 */
export type Keccak256 = (bytes: Uint8Array) => Uint8Array;

type FieldType = 'bytes32' | 'address' | 'uint8' | 'uint32' | 'uint40' | 'uint64' | 'uint128';

export interface StructType<Name extends string, Fields extends Record<string, FieldType>> {
  readonly name: Name;
  readonly domain: DomainName;
  readonly fields: Fields;
}

export type DomainName = 'PaymentChannels' | 'ModelRegistry' | 'DisputeManager';

type ValueOf<T extends FieldType> = T extends 'bytes32' | 'address' ? Hex : bigint;

export type StructValue<S> = S extends StructType<string, infer F> ? { readonly [K in keyof F]: ValueOf<F[K]> } : never;

const struct = <const N extends string, const F extends Record<string, FieldType>>(
  domain: DomainName,
  name: N,
  fields: F,
): StructType<N, F> => ({ domain, name, fields });

export const VOUCHER = struct('PaymentChannels', 'Voucher', { channelId: 'bytes32', maxClaimableAmount: 'uint128' });

export const OPEN_AUTHORIZATION = struct('PaymentChannels', 'OpenAuthorization', {
  channelId: 'bytes32',
  amount: 'uint128',
  nonce: 'bytes32',
  deadline: 'uint64',
});

export const CLOSE_AUTHORIZATION = struct('PaymentChannels', 'CloseAuthorization', {
  channelId: 'bytes32',
  finalAmount: 'uint128',
  deadline: 'uint64',
});

export const SESSION = struct('PaymentChannels', 'Session', {
  channelId: 'bytes32',
  keyHash: 'bytes32',
  maxUnpaid: 'uint128',
  notAfter: 'uint64',
});

export const RECEIPT = struct('ModelRegistry', 'Receipt', {
  versionId: 'bytes32',
  requestId: 'bytes32',
  channelId: 'bytes32',
  inputHash: 'bytes32',
  outputHash: 'bytes32',
  paramsHash: 'bytes32',
  inputUnits: 'uint64',
  outputUnits: 'uint64',
  price: 'uint128',
  cumulative: 'uint128',
  beneficiary: 'address',
  issuedAt: 'uint64',
  outcome: 'uint8',
});

export const SIGNER_GRANT = struct('ModelRegistry', 'SignerGrant', { versionId: 'bytes32', signer: 'address', notAfter: 'uint64' });

export const CONSENT = struct('DisputeManager', 'Consent', { receipt: 'bytes32', challenger: 'address', notAfter: 'uint64' });

export type Voucher = StructValue<typeof VOUCHER>;
export type OpenAuthorization = StructValue<typeof OPEN_AUTHORIZATION>;
export type CloseAuthorization = StructValue<typeof CLOSE_AUTHORIZATION>;
export type Session = StructValue<typeof SESSION>;
export type Receipt = StructValue<typeof RECEIPT>;
export type SignerGrant = StructValue<typeof SIGNER_GRANT>;
export type Consent = StructValue<typeof CONSENT>;

/** `Voucher(bytes32 channelId,uint128 maxClaimableAmount)` and the like. */
export const encodeType = (type: StructType<string, Record<string, FieldType>>): string =>
  `${type.name}(${Object.entries(type.fields)
    .map(([name, t]) => `${t} ${name}`)
    .join(',')})`;

const DOMAIN_TYPE = 'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)';

export interface Domain {
  readonly name: DomainName;
  readonly chainId: bigint;
  readonly verifyingContract: Hex;
}

/** The 32-byte domain separator; version is "1". Cache it: it depends on the chain and the contract only. */
export const domainSeparator = (keccak: Keccak256, domain: Domain): Uint8Array =>
  keccak(
    concatBytes(
      keccak(utf8(DOMAIN_TYPE)),
      keccak(utf8(domain.name)),
      keccak(utf8('1')),
      uintToBytes(domain.chainId, 32),
      word('address', domain.verifyingContract),
    ),
  );

const SIZES = { uint8: 1, uint32: 4, uint40: 5, uint64: 8, uint128: 16 } as const;

const word = (type: FieldType, value: Hex | bigint): Uint8Array => {
  if (type === 'bytes32') return hexToBytes(value as Hex, 32);
  if (type === 'address') return concatBytes(new Uint8Array(12), hexToBytes(value as Hex, 20));
  const bytes = uintToBytes(value as bigint, SIZES[type]);
  return concatBytes(new Uint8Array(32 - bytes.length), bytes);
};

/**
 * Makes the digest function of one struct under one domain: `(value) => 0x…32 bytes`. The type hash and the domain separator are computed
 * once. Throws HexError when a field does not fit its type.
 */
export const digester = <S extends StructType<string, Record<string, FieldType>>>(
  keccak: Keccak256,
  type: S,
  domain: Domain,
): ((value: StructValue<S>) => Uint8Array) => {
  if (domain.name !== type.domain) throw new Error(`${type.name} belongs to the domain ${type.domain}, not ${domain.name}`);
  const typeHash = keccak(utf8(encodeType(type)));
  const separator = domainSeparator(keccak, domain);
  const fields = Object.entries(type.fields);
  const prefix = Uint8Array.of(0x19, 0x01);
  return (value) => {
    const words = fields.map(([name, t]) => word(t, (value as Record<string, Hex | bigint>)[name]!));
    return keccak(concatBytes(prefix, separator, keccak(concatBytes(typeHash, ...words))));
  };
};

export const digestHex = (digest: Uint8Array): Hex => bytesToHex(digest);
