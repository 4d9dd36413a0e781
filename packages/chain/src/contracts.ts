import type { Receipt, SignerGrant, Consent } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import type { BaseUnits, Prices } from '@cupel/protocol/money';
import type { Contracts } from '@cupel/protocol/wire/config';
import { MODES } from '@cupel/protocol/wire/projections';
import type { Mode } from '@cupel/protocol/wire/projections';
import { AbiCoder, Interface } from 'ethers';

import { claimManagerAbi } from './abi/claimManager.ts';
import { cupelTokenAbi } from './abi/cupelToken.ts';
import { dataStoreAbi } from './abi/dataStore.ts';
import { disputeManagerAbi } from './abi/disputeManager.ts';
import { modelRegistryAbi } from './abi/modelRegistry.ts';
import { paymentChannelsAbi } from './abi/paymentChannels.ts';
import { stakeVaultAbi } from './abi/stakeVault.ts';
import { testDollarAbi } from './abi/testDollar.ts';
import type { Call } from './lane.ts';

export const interfaces = {
  stakeToken: new Interface(cupelTokenAbi),
  paymentToken: new Interface(testDollarAbi),
  stakeVault: new Interface(stakeVaultAbi),
  modelRegistry: new Interface(modelRegistryAbi),
  paymentChannels: new Interface(paymentChannelsAbi),
  claimManager: new Interface(claimManagerAbi),
  disputeManager: new Interface(disputeManagerAbi),
} as const satisfies Record<keyof Contracts, Interface>;

export const dataStoreInterface = new Interface(dataStoreAbi);

export interface VersionTerms {
  /** sha256 of cupel-manifest.json. */
  readonly manifestHash: Hex;
  /** Zero where the mode needs none. */
  readonly verificationRoot: Hex;
  readonly mode: Mode;
}

export interface RedeemRow {
  readonly descriptor: ChannelDescriptor;
  /** Cumulative base units to settle. */
  readonly amount: bigint;
  readonly maxClaimable: bigint;
  /** Voucher signature, 64 bytes. */
  readonly signature: Hex;
}

export interface DisputeCase {
  readonly receipt: Receipt;
  readonly receiptSig: Hex;
  readonly grant: SignerGrant;
  readonly grantSig: Hex;
  readonly descriptor: ChannelDescriptor;
  /** Absent where the sender is beneficiary or payer. */
  readonly consent?: Consent;
  readonly consentSig?: Hex;
  readonly evidence: Hex;
}

export const ZERO_ADDRESS: Hex = `0x${'00'.repeat(20)}`;
export const ZERO_BYTES32: Hex = `0x${'00'.repeat(32)}`;

const modeNumber = (mode: Mode): number => MODES.indexOf(mode);

/** ABI-encodes a call of one of Cupel's contracts. Throws when an argument does not fit its type. */
const encode = (face: Interface, to: Hex, name: string, args: readonly unknown[]): Call => ({
  to,
  data: face.encodeFunctionData(name, args) as Hex,
});

/** Every call that a service or the demo sends, as data: what `Lane.send` takes. */
export const marketCalls = (at: Contracts) => ({
  approve: (token: Hex, spender: Hex, amount: bigint): Call => encode(interfaces.paymentToken, token, 'approve', [spender, amount]),
  transfer: (token: Hex, to: Hex, amount: bigint): Call => encode(interfaces.paymentToken, token, 'transfer', [to, amount]),

  setProvider: (operator: Hex, payout: Hex): Call => encode(interfaces.modelRegistry, at.modelRegistry, 'setProvider', [operator, payout]),
  register: (owner: Hex, slug: string, terms: VersionTerms, prices: Prices, endpoint: string, specializations: readonly string[]): Call =>
    encode(interfaces.modelRegistry, at.modelRegistry, 'register', [
      owner,
      slug,
      { ...terms, mode: modeNumber(terms.mode) },
      prices,
      endpoint,
      specializations,
    ]),
  addVersion: (modelId: Hex, terms: VersionTerms): Call =>
    encode(interfaces.modelRegistry, at.modelRegistry, 'addVersion', [modelId, { ...terms, mode: modeNumber(terms.mode) }]),
  setPrices: (modelId: Hex, prices: Prices): Call => encode(interfaces.modelRegistry, at.modelRegistry, 'setPrices', [modelId, prices]),
  setEndpoint: (modelId: Hex, url: string): Call => encode(interfaces.modelRegistry, at.modelRegistry, 'setEndpoint', [modelId, url]),
  setSpecializations: (modelId: Hex, tags: readonly string[]): Call =>
    encode(interfaces.modelRegistry, at.modelRegistry, 'setSpecializations', [modelId, tags]),
  retire: (modelId: Hex): Call => encode(interfaces.modelRegistry, at.modelRegistry, 'retire', [modelId]),

  /** Base units of the stake token and of the payment token; both must be approved to the vault. */
  deposit: (modelId: Hex, stake: bigint, bond: bigint): Call =>
    encode(interfaces.stakeVault, at.stakeVault, 'deposit', [modelId, stake, bond]),
  withdrawStake: (modelId: Hex): Call => encode(interfaces.stakeVault, at.stakeVault, 'withdraw', [modelId]),

  open: (descriptor: ChannelDescriptor, amount: BaseUnits): Call =>
    encode(interfaces.paymentChannels, at.paymentChannels, 'open', [descriptor, amount]),
  /** `signature`: 64 or 65 bytes over the token's EIP-2612 Permit; `deadline` in unix seconds. */
  openWithPermit: (descriptor: ChannelDescriptor, amount: BaseUnits, deadline: bigint, signature: Hex): Call => {
    const { v, r, s } = splitSignature(signature);
    return encode(interfaces.paymentChannels, at.paymentChannels, 'openWithPermit', [descriptor, amount, deadline, v, r, s]);
  },
  topUp: (descriptor: ChannelDescriptor, amount: BaseUnits): Call =>
    encode(interfaces.paymentChannels, at.paymentChannels, 'topUp', [descriptor, amount]),
  redeem: (rows: readonly RedeemRow[]): Call => encode(interfaces.paymentChannels, at.paymentChannels, 'redeem', [rows]),
  setRedeemer: (redeemer: Hex): Call => encode(interfaces.paymentChannels, at.paymentChannels, 'setRedeemer', [redeemer]),
  closeWithAuthorization: (descriptor: ChannelDescriptor, finalAmount: bigint, deadline: bigint, signature: Hex): Call =>
    encode(interfaces.paymentChannels, at.paymentChannels, 'closeWithAuthorization', [descriptor, finalAmount, deadline, signature]),
  startExit: (descriptor: ChannelDescriptor): Call => encode(interfaces.paymentChannels, at.paymentChannels, 'startExit', [descriptor]),
  withdrawRefund: (descriptor: ChannelDescriptor): Call => encode(interfaces.paymentChannels, at.paymentChannels, 'withdraw', [descriptor]),

  /** `maxPrice` in micro. */
  postRoot: (versionId: Hex, root: Hex, count: number, maxPrice: bigint): Call =>
    encode(interfaces.claimManager, at.claimManager, 'postRoot', [versionId, root, count, maxPrice]),
  finalize: (claimId: Hex): Call => encode(interfaces.claimManager, at.claimManager, 'finalize', [claimId]),

  challenge: (dispute: DisputeCase): Call =>
    encode(interfaces.disputeManager, at.disputeManager, 'challenge', [
      {
        ...dispute,
        consent: dispute.consent ?? { receipt: ZERO_BYTES32, challenger: ZERO_ADDRESS, notAfter: 0n },
        consentSig: dispute.consentSig ?? '0x',
      },
    ]),
});

export type MarketCalls = ReturnType<typeof marketCalls>;

/** DataStore.store(bytes): publishes weights as a data contract. */
export const storeData = (dataStore: Hex, data: Hex): Call => encode(dataStoreInterface, dataStore, 'store', [data]);

/** What the ExecutionArbiter reads: abi.encode(bytes program, address weightsPointer, bytes32 salt, bytes input). */
export const executionEvidence = (program: Hex, weightsPointer: Hex, salt: Hex, input: Hex): Hex =>
  AbiCoder.defaultAbiCoder().encode(['bytes', 'address', 'bytes32', 'bytes'], [program, weightsPointer, salt, input]) as Hex;

const splitSignature = (signature: Hex): { v: number; r: Hex; s: Hex } => {
  const bytes = signature.slice(2);
  const r: Hex = `0x${bytes.slice(0, 64)}`;
  if (bytes.length === 130) return { v: Number.parseInt(bytes.slice(128), 16), r, s: `0x${bytes.slice(64, 128)}` };
  if (bytes.length !== 128) throw new Error(`a permit signature must have 64 or 65 bytes, got ${bytes.length / 2}`);
  const vs = BigInt(`0x${bytes.slice(64)}`);
  const s = vs & ((1n << 255n) - 1n);
  return { v: 27 + Number(vs >> 255n), r, s: `0x${s.toString(16).padStart(64, '0')}` };
};
