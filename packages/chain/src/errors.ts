import type { Hex } from '@cupel/protocol/hex';
import { AbiCoder, Interface } from 'ethers';

import { claimManagerAbi } from './abi/claimManager.ts';
import { cupelTokenAbi } from './abi/cupelToken.ts';
import { dataStoreAbi } from './abi/dataStore.ts';
import { disputeManagerAbi } from './abi/disputeManager.ts';
import { executionArbiterAbi } from './abi/executionArbiter.ts';
import { modelRegistryAbi } from './abi/modelRegistry.ts';
import { paymentChannelsAbi } from './abi/paymentChannels.ts';
import { stakeVaultAbi } from './abi/stakeVault.ts';
import { testDollarAbi } from './abi/testDollar.ts';

/** Why a contract refused. */
export interface DecodedError {
  /** Name of the custom error, `Error` for a revert string, `Panic`, or `Unknown`. */
  readonly name: string;
  /** Named arguments, as the ABI names them. */
  readonly args: Readonly<Record<string, string>>;
  /** One sentence: what happened and what to do about it. */
  readonly message: string;
  readonly data: Hex;
}

const ALL_ABIS = [
  modelRegistryAbi,
  stakeVaultAbi,
  paymentChannelsAbi,
  claimManagerAbi,
  disputeManagerAbi,
  executionArbiterAbi,
  dataStoreAbi,
  cupelTokenAbi,
  testDollarAbi,
];

/** One interface with every custom error once: equal names with other arguments have other selectors. */
const errors = new Interface([...new Set(ALL_ABIS.flat().filter((line) => line.startsWith('error ')))]);

/** What to do; for those that are not here the name and its numbers must do. */
const REMEDIES: Readonly<Record<string, string>> = {
  AlreadyRegistered: 'nothing is to be done: the model is in the registry',
  AlreadyRetired: 'nothing is to be done: the model is retired for good; register another slug',
  ProviderNotSet: 'the owner must call setProvider(operator, payout) once with the owner key',
  NotProvider: 'use the operator key that the owner named with setProvider',
  NotOwnerOrOperator: 'use the operator key that the owner named with setProvider',
  NotActive: 'the model is retired or suspended; register another slug',
  UnknownModel: 'register the model first',
  UnknownVersion: 'register the version first',
  NoArbiter: 'claims need a mode whose arbiter is installed',
  ModeHasNoArbiter: 'choose a verification mode whose arbiter is installed',
  InsufficientFree: 'deposit more stake, or wait until open claims are final',
  ERC20InsufficientBalance: 'fund the sending account with the token',
  ERC20InsufficientAllowance: 'approve the amount to the contract first',
  AboveDeposit: 'redeem at most the deposit, or have the payer top up',
  AboveCeiling: 'redeem at most what the voucher allows',
  ChannelExists: 'a channel id is single-use; take another salt',
  UnknownChannel: 'open the channel first',
  WrongSigner: "the voucher must be signed with the channel's signer under this chain and contract",
  NotPayeeOrRedeemer: 'send from the payee, or have the payee call setRedeemer',
  NotPayer: 'send from the payer',
  WithdrawDelayOutOfBounds: 'choose a withdrawDelay within the bounds',
  NotOpen: 'it is closed, final or was never opened',
  AlreadyPosted: 'nothing is to be done: the root is posted',
  WindowOpen: 'wait until the window closes',
  AnswerIsRight: 'the answer is right: do not accuse',
  AlreadyUpheld: 'nothing is to be done: the dispute is upheld',
  EvidenceOver: 'the time for evidence is over',
  NotEntitled: 'challenge as beneficiary or payer, or bring a Consent',
  GrantNotByOwner: "the grant must be signed with the provider's owner key",
  ReceiptNotBySigner: 'the receipt must be signed by the key that the grant names',
  StillUnbonding: 'wait until unbonding ends',
  StillClosing: 'wait until the channel has closed',
};

/** Reads revert data of any of Cupel's contracts, of a revert string and of a panic. Never throws. */
export const decodeError = (data: Hex): DecodedError => {
  try {
    return decode(data);
  } catch {
    return unknown(data);
  }
};

const decode = (data: Hex): DecodedError => {
  const coder = AbiCoder.defaultAbiCoder();
  if (data.startsWith('0x08c379a0')) {
    const reason = String(coder.decode(['string'], `0x${data.slice(10)}`)[0]);
    return { name: 'Error', args: { reason }, message: `the contract refused: ${reason}`, data };
  }
  if (data.startsWith('0x4e487b71')) {
    const code = `0x${BigInt(coder.decode(['uint256'], `0x${data.slice(10)}`)[0]).toString(16)}`;
    return { name: 'Panic', args: { code }, message: `the contract panicked with code ${code}`, data };
  }
  const parsed = data.length < 10 ? null : errors.parseError(data);
  if (!parsed) return unknown(data);
  const args = Object.fromEntries(parsed.fragment.inputs.map((input, i) => [input.name || String(i), String(parsed.args[i])]));
  const list = Object.entries(args)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
  const remedy = REMEDIES[parsed.name];
  return { name: parsed.name, args, message: `${parsed.name}${list ? ` (${list})` : ''}${remedy ? `: ${remedy}` : ''}`, data };
};

const unknown = (data: Hex): DecodedError => ({
  name: 'Unknown',
  args: {},
  message:
    data === '0x'
      ? 'the contract refused without a reason'
      : `the contract refused with an error that is not known here (${data.slice(0, 10)})`,
  data,
});
