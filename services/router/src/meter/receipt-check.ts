import type { Receipt } from '@cupel/protocol/eip712';
import { bytesToHex } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import { priceOf, toMicro } from '@cupel/protocol/money';
import type { BaseUnits, Prices } from '@cupel/protocol/money';
import { paramsHashOf } from '@cupel/protocol/ids';
import type { Keccak256 } from '@cupel/protocol/eip712';
import { OUTCOME } from '@cupel/protocol/wire/receipt';
import type { AnswerParams, ReceiptEnvelope, SignedGrant } from '@cupel/protocol/wire/receipt';

import type { UnitBound } from '../admit/hold.ts';

export interface ReceiptCheckDeps {
  readonly keccak: Keccak256;
  /** Under the ModelRegistry's domain. */
  readonly receiptDigest: (receipt: Receipt) => Uint8Array;
  /** Who signed a grant, under the same domain. */
  readonly grantOwner: (grant: SignedGrant) => Hex | undefined;
  readonly recover: (digest: Uint8Array, signature: Hex) => Hex | undefined;
}

/** What a receipt must say, all of it known to the gateway before the answer came, or recomputed from the bytes. */
export interface ExpectedReceipt {
  readonly requestId: Hex;
  readonly versionId: Hex;
  readonly channelId: Hex;
  readonly beneficiary: Hex;
  /** Owner of the model's registry entry: whose grant counts. */
  readonly owner: Hex;
  readonly inputHash: Hex;
  /** Of the delivered bytes. undefined: the answer was cut, so that the edge may have sent more than came through. */
  readonly outputHash: Hex | undefined;
  readonly prices: Prices;
  readonly bound: UnitBound;
  /** Highest voucher that the edge holds, base units. */
  readonly maxClaimable: BaseUnits;
  /** Parameters that the client fixed. */
  readonly params: AnswerParams;
  /** A chat answer must name the seed that it was made with, so that it can be replayed. */
  readonly seedRequired: boolean;
  /** Unix seconds by the chain. */
  readonly nowSeconds: bigint;
}

export type ReceiptVerdict = { readonly fits: true; readonly digest: Hex } | { readonly fits: false; readonly why: string };

/** How far issuedAt may be from the chain's time; the dispute contract refuses later ones. */
const TIME_TOLERANCE_S = 120n;

/** "No charge without a fitting receipt": api.md, rules of the protocol. */
export const checkReceipt = (deps: ReceiptCheckDeps, envelope: ReceiptEnvelope, expected: ExpectedReceipt): ReceiptVerdict => {
  const { receipt, grant } = envelope;
  const no = (why: string): ReceiptVerdict => ({ fits: false, why });
  if (receipt.requestId !== expected.requestId) return no('requestId is not ours');
  if (receipt.versionId !== expected.versionId) return no('versionId is another one');
  if (receipt.channelId !== expected.channelId) return no('channelId is another one');
  if (receipt.beneficiary !== expected.beneficiary) return no('beneficiary is not the payer');
  if (receipt.inputHash !== expected.inputHash) return no('inputHash does not fit the bytes that were sent');
  if (expected.outputHash !== undefined && receipt.outputHash !== expected.outputHash) {
    return no('outputHash does not fit the bytes that were delivered');
  }
  if (receipt.outcome > OUTCOME.engineFailed) return no('outcome is unknown');
  if (receipt.paramsHash !== paramsHashOf(deps.keccak, envelope.params)) return no('paramsHash does not fit the parameters');
  const param = wrongParam(envelope.params, expected);
  if (param !== undefined) return no(`parameter ${param} is not what was asked for`);
  if (receipt.inputUnits > expected.bound.inputUnits) return no('inputUnits exceed what the request can hold');
  if (receipt.outputUnits > expected.bound.outputUnits) return no('outputUnits exceed what was asked for');
  if (receipt.price > priceOf(expected.prices, receipt.inputUnits, receipt.outputUnits)) return no("price exceeds the registry's prices");
  if (receipt.cumulative < receipt.price) return no('cumulative is less than the price');
  if (receipt.cumulative > toMicro(expected.maxClaimable)) return no('cumulative exceeds the voucher');
  const off = receipt.issuedAt > expected.nowSeconds ? receipt.issuedAt - expected.nowSeconds : expected.nowSeconds - receipt.issuedAt;
  if (off > TIME_TOLERANCE_S) return no(`issuedAt is ${off} s off the chain's time`);
  if (grant.versionId !== expected.versionId) return no('the grant is for another version');
  if (grant.notAfter < receipt.issuedAt) return no('the grant has ended');
  if (deps.grantOwner(grant) !== expected.owner) return no("the grant is not the owner's");
  const digest = deps.receiptDigest(receipt);
  if (deps.recover(digest, envelope.signature) !== grant.signer) return no("the signature is not the granted signer's");
  return { fits: true, digest: bytesToHex(digest) };
};

const wrongParam = (params: AnswerParams, expected: ExpectedReceipt): string | undefined => {
  if (expected.seedRequired && params.seed === undefined) return 'seed';
  for (const name of ['seed', 'temperature', 'top_p', 'max_tokens', 'stream'] as const) {
    if (expected.params[name] !== undefined && params[name] !== expected.params[name]) return name;
  }
  return undefined;
};
