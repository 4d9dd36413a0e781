import { randomBytes } from 'node:crypto';

import { marketCalls } from '@cupel/chain/contracts';
import { VOUCHER, digester } from '@cupel/protocol/eip712';
import { bytesToHex, concatBytes, hexToBytes, uintToBytes, utf8 } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import { channelIdOf } from '@cupel/protocol/ids';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import { baseUnits } from '@cupel/protocol/money';
import type { Contracts } from '@cupel/protocol/wire/config';
import { keccak256 } from '@cupel/signing/keccak';

import type { Account } from './accounts.ts';
import type { Desk } from './chain-setup.ts';

/** EIP-2612 digest of TestDollar: "Cupel Test Dollar", version 1, first nonce. */
const permitDigest = (chainId: number, token: Hex, owner: Hex, spender: Hex, value: bigint, deadline: bigint): Uint8Array => {
  const word = (hex: Hex) => concatBytes(new Uint8Array(12), hexToBytes(hex, 20));
  const separator = keccak256(
    concatBytes(
      keccak256(utf8('EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)')),
      keccak256(utf8('Cupel Test Dollar')),
      keccak256(utf8('1')),
      uintToBytes(BigInt(chainId), 32),
      word(token),
    ),
  );
  const struct = keccak256(
    concatBytes(
      keccak256(utf8('Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)')),
      word(owner),
      word(spender),
      uintToBytes(value, 32),
      uintToBytes(0n, 32),
      uintToBytes(deadline, 32),
    ),
  );
  return keccak256(concatBytes(Uint8Array.of(0x19, 0x01), separator, struct));
};

export interface Wallet {
  readonly descriptor: ChannelDescriptor;
  readonly channelId: Hex;
  /** A cumulative voucher: a ceiling in base units that requests draw down. */
  voucher(maxClaimable: bigint): { channelId: Hex; maxClaimableAmount: string; signature: Hex };
}

/** Opens a channel to the gateway with a permit instead of an allowance: one transaction, and no standing approval. */
export const openChannel = async (
  desk: Desk,
  contracts: Contracts,
  chainId: number,
  consumer: Account,
  payee: Hex,
  amount: bigint,
): Promise<Wallet> => {
  const descriptor: ChannelDescriptor = {
    payer: consumer.address,
    payee,
    token: contracts.paymentToken,
    signerKind: 0,
    signer: consumer.address,
    withdrawDelay: 86_400,
    salt: bytesToHex(randomBytes(32)),
  };
  const channelId = channelIdOf(keccak256, descriptor);
  const deadline = BigInt(Math.floor(Date.now() / 1000) + 3600);
  const permit = consumer.signer.sign(
    permitDigest(chainId, contracts.paymentToken, consumer.address, contracts.paymentChannels, amount, deadline),
  );
  await desk.send(consumer, 'openWithPermit', marketCalls(contracts).openWithPermit(descriptor, baseUnits(amount), deadline, permit));
  const digest = digester(keccak256, VOUCHER, {
    name: 'PaymentChannels',
    chainId: BigInt(chainId),
    verifyingContract: contracts.paymentChannels,
  });
  return {
    descriptor,
    channelId,
    voucher: (maxClaimable) => ({
      channelId,
      maxClaimableAmount: maxClaimable.toString(),
      signature: consumer.signer.sign(digest({ channelId, maxClaimableAmount: maxClaimable })),
    }),
  };
};

/** The management API of one payment service. Throws with the body when the answer is not 2xx, unless `status` is expected. */
export const managementOf =
  (baseUrl: string, token: string) =>
  async <T>(method: 'GET' | 'POST', path: string, body?: object): Promise<T> => {
    const response = await fetch(`${baseUrl}/manage/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  };

export type Management = ReturnType<typeof managementOf>;
