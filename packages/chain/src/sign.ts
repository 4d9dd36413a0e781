import { hexToBytes } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import type { Signer } from '@cupel/signing/secp256k1';
import { Signature, Transaction } from 'ethers';

import type { Fees } from './fees.ts';

export interface UnsignedTransaction extends Fees {
  readonly chainId: bigint;
  readonly nonce: number;
  readonly to: Hex;
  readonly data: Hex;
  readonly value: bigint;
  readonly gas: bigint;
}

/** An EIP-1559 transaction, signed; the same input gives the same bytes (RFC 6979). */
export const signTransaction = (signer: Signer, t: UnsignedTransaction): { readonly raw: Hex; readonly hash: Hex } => {
  const transaction = Transaction.from({
    type: 2,
    chainId: t.chainId,
    nonce: t.nonce,
    to: t.to,
    data: t.data,
    value: t.value,
    gasLimit: t.gas,
    maxFeePerGas: t.maxFeePerGas,
    maxPriorityFeePerGas: t.maxPriorityFeePerGas,
  });
  transaction.signature = Signature.from(signer.sign(hexToBytes(transaction.unsignedHash, 32)));
  return { raw: transaction.serialized as Hex, hash: transaction.hash as Hex };
};
