import { digester, SESSION, VOUCHER } from '@cupel/protocol/eip712';
import type { Keccak256, Session, Voucher } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';

/** The address behind a 64-byte EIP-2098 signature, or undefined. */
export type Recover = (digest: Uint8Array, signature: Hex) => Hex | undefined;

/** Chains that people confuse with each other: asked only about signatures that do not fit, to say why. */
const WELL_KNOWN_CHAINS = [1n, 10n, 56n, 137n, 8453n, 42161n, 1337n, 31337n, 11155111n, 84532n, 421614n];

export interface VoucherChecks {
  /** undefined: signed by the descriptor's signer. Refuses with voucher_wrong_chain or voucher_bad_signature. */
  checkVoucher(descriptor: ChannelDescriptor, voucher: Voucher, signature: Hex): Refusal | undefined;
  /** As {@link checkVoucher}; refuses with session_unknown. */
  checkSession(descriptor: ChannelDescriptor, session: Session, signature: Hex): Refusal | undefined;
  /** 32 bytes to sign. */
  voucherDigest(voucher: Voucher): Uint8Array;
  sessionDigest(session: Session): Uint8Array;
}

/** `verifyingContract`: PaymentChannels. */
export const voucherChecks = (keccak: Keccak256, recover: Recover, chainId: bigint, verifyingContract: Hex): VoucherChecks => {
  const on = (chain: bigint) => digester(keccak, VOUCHER, { name: 'PaymentChannels', chainId: chain, verifyingContract });
  const voucherDigest = on(chainId);
  const sessionDigest = digester(keccak, SESSION, { name: 'PaymentChannels', chainId, verifyingContract });
  return {
    voucherDigest,
    sessionDigest,
    checkVoucher(descriptor, voucher, signature) {
      const signer = recover(voucherDigest(voucher), signature);
      if (signer === descriptor.signer) return undefined;
      const other = WELL_KNOWN_CHAINS.find((chain) => chain !== chainId && recover(on(chain)(voucher), signature) === descriptor.signer);
      if (other !== undefined) {
        return refuse('voucher_wrong_chain', `the voucher is signed for chain ${other}, this is chain ${chainId}`, { param: 'signature' });
      }
      return refuse(
        'voucher_bad_signature',
        `the voucher's signature is ${signer === undefined ? 'not a low-s EIP-2098 signature' : `by ${signer}`}, the channel's signer is ${descriptor.signer} (domain PaymentChannels, chain ${chainId}, contract ${verifyingContract})`,
        { param: 'signature' },
      );
    },
    checkSession(descriptor, session, signature) {
      if (recover(sessionDigest(session), signature) === descriptor.signer) return undefined;
      return refuse('session_unknown', `the session is not signed by the channel's signer ${descriptor.signer}`, { param: 'signature' });
    },
  };
};

/** What a payee demands of every channel. */
export interface ChannelTerms {
  readonly payee: Hex;
  readonly token: Hex;
  /** Seconds. */
  readonly minWithdrawDelay: number;
}

/** undefined: a channel that this payee takes. */
export const checkDescriptor = (descriptor: ChannelDescriptor, terms: ChannelTerms): Refusal | undefined => {
  if (descriptor.payee !== terms.payee) {
    return refuse('invalid_field', `the channel pays ${descriptor.payee}, this service is paid at ${terms.payee}`, {
      param: 'descriptor.payee',
    });
  }
  if (descriptor.token !== terms.token) {
    return refuse('invalid_field', `the channel's token is ${descriptor.token}, prices here are in ${terms.token}`, {
      param: 'descriptor.token',
    });
  }
  if (descriptor.withdrawDelay < terms.minWithdrawDelay) {
    return refuse(
      'withdraw_delay_too_short',
      `withdrawDelay is ${descriptor.withdrawDelay} s, at least ${terms.minWithdrawDelay} s are required`,
      {
        param: 'descriptor.withdrawDelay',
      },
    );
  }
  return undefined;
};
