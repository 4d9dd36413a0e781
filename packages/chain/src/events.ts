import type { Hex } from '@cupel/protocol/hex';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import { baseUnits } from '@cupel/protocol/money';
import type { Prices } from '@cupel/protocol/money';
import type { Contracts } from '@cupel/protocol/wire/config';
import { MODES } from '@cupel/protocol/wire/projections';
import type { Mode } from '@cupel/protocol/wire/projections';
import type { Result } from 'ethers';

import type { Log } from './client.ts';
import { interfaces } from './contracts.ts';
import { decodeText, decodeTexts } from './text.ts';

/** What Cupel's contracts say. Amounts in base units unless they are called price. */
export type MarketEvent =
  | { readonly name: 'ProviderSet'; readonly owner: Hex; readonly operator: Hex; readonly payout: Hex }
  | { readonly name: 'ModelRegistered'; readonly modelId: Hex; readonly owner: Hex; readonly slug: string }
  | {
      readonly name: 'VersionAdded';
      readonly modelId: Hex;
      readonly versionId: Hex;
      readonly number: number;
      readonly manifestHash: Hex;
      readonly verificationRoot: Hex;
      readonly mode: Mode;
      readonly arbiter: Hex;
    }
  | { readonly name: 'PricesSet'; readonly modelId: Hex; readonly prices: Prices }
  | { readonly name: 'EndpointSet'; readonly modelId: Hex; readonly url: string }
  | { readonly name: 'SpecializationsSet'; readonly modelId: Hex; readonly tags: readonly string[] }
  | { readonly name: 'ModelRetired'; readonly modelId: Hex }
  | { readonly name: 'ModelSuspended'; readonly modelId: Hex; readonly faults: number }
  | { readonly name: 'Deposited'; readonly modelId: Hex; readonly from: Hex; readonly stake: bigint; readonly bond: bigint }
  | { readonly name: 'Locked'; readonly modelId: Hex; readonly amount: bigint }
  | { readonly name: 'Unlocked'; readonly modelId: Hex; readonly amount: bigint }
  | { readonly name: 'UnbondingStarted'; readonly modelId: Hex; readonly amount: bigint; readonly endsAt: number }
  | { readonly name: 'Withdrawn'; readonly modelId: Hex; readonly payout: Hex; readonly stake: bigint; readonly bond: bigint }
  | {
      readonly name: 'Slashed';
      readonly modelId: Hex;
      readonly total: bigint;
      readonly toChallenger: bigint;
      readonly toBeneficiary: bigint;
      readonly burned: bigint;
    }
  | {
      readonly name: 'BondRefunded';
      readonly modelId: Hex;
      readonly receiptDigest: Hex;
      readonly beneficiary: Hex;
      readonly amount: bigint;
    }
  | {
      readonly name: 'ChannelOpened';
      readonly channelId: Hex;
      readonly payer: Hex;
      readonly payee: Hex;
      readonly descriptor: ChannelDescriptor;
      readonly amount: bigint;
    }
  | { readonly name: 'ToppedUp'; readonly channelId: Hex; readonly amount: bigint; readonly deposit: bigint }
  | { readonly name: 'Redeemed'; readonly payee: Hex; readonly token: Hex; readonly paid: bigint; readonly rows: readonly RedeemedRow[] }
  | { readonly name: 'ExitStarted'; readonly channelId: Hex; readonly closeAt: number }
  | { readonly name: 'ChannelClosed'; readonly channelId: Hex; readonly settled: bigint; readonly refund: bigint }
  | { readonly name: 'RefundWithdrawn'; readonly channelId: Hex; readonly amount: bigint }
  | { readonly name: 'RedeemerSet'; readonly payee: Hex; readonly redeemer: Hex }
  | {
      readonly name: 'RootPosted';
      readonly claimId: Hex;
      readonly versionId: Hex;
      readonly root: Hex;
      readonly count: number;
      /** Micro. */
      readonly maxPrice: bigint;
      readonly locked: bigint;
      readonly finalizableAt: number;
    }
  | { readonly name: 'ClaimFinalized'; readonly claimId: Hex }
  | { readonly name: 'Challenged'; readonly receiptDigest: Hex; readonly modelId: Hex; readonly challenger: Hex }
  | {
      readonly name: 'Upheld';
      readonly receiptDigest: Hex;
      readonly modelId: Hex;
      readonly challenger: Hex;
      readonly beneficiary: Hex;
      readonly slashed: bigint;
      readonly refund: bigint;
    };

export interface RedeemedRow {
  readonly channelId: Hex;
  /** Cumulative. */
  readonly settled: bigint;
}

const EMITTERS = ['modelRegistry', 'stakeVault', 'paymentChannels', 'claimManager', 'disputeManager'] as const;

/** The contracts whose logs matter. */
export const emitters = (contracts: Contracts): Hex[] => EMITTERS.map((name) => contracts[name]);

/** undefined: not one of our contracts, or an event that nothing here needs. Throws when the data is not the event that its topic names. */
export const eventDecoder = (contracts: Contracts): ((log: Log) => MarketEvent | undefined) => {
  const faces = new Map(EMITTERS.map((name) => [contracts[name].toLowerCase(), interfaces[name]]));
  return (log) => {
    const parsed = faces.get(log.address.toLowerCase())?.parseLog({ topics: [...log.topics], data: log.data });
    return parsed ? convert(parsed.name, parsed.args, log.data) : undefined;
  };
};

/** `data`: the fields that are not indexed. Strings are read from it, since ethers throws at bytes that are not UTF-8. */
const convert = (name: string, a: Result, data: Hex): MarketEvent | undefined => {
  switch (name) {
    case 'ProviderSet':
      return { name, owner: hex(a['owner']), operator: hex(a['operator']), payout: hex(a['payout']) };
    case 'ModelRegistered':
      return { name, modelId: hex(a['modelId']), owner: hex(a['owner']), slug: decodeText(data) };
    case 'VersionAdded':
      return {
        name,
        modelId: hex(a['modelId']),
        versionId: hex(a['versionId']),
        number: Number(a['number']),
        manifestHash: hex(a['manifestHash']),
        verificationRoot: hex(a['verificationRoot']),
        mode: MODES[Number(a['mode'])] ?? 'None',
        arbiter: hex(a['arbiter']),
      };
    case 'PricesSet': {
      const price = (field: string) => baseUnits(uint(a[field]));
      const prices = {
        inputPerMillion: price('inputPerMillion'),
        outputPerMillion: price('outputPerMillion'),
        perRequest: price('perRequest'),
      };
      return { name, modelId: hex(a['modelId']), prices };
    }
    case 'EndpointSet':
      return { name, modelId: hex(a['modelId']), url: decodeText(data) };
    case 'SpecializationsSet':
      return { name, modelId: hex(a['modelId']), tags: decodeTexts(data) };
    case 'ModelRetired':
      return { name, modelId: hex(a['modelId']) };
    case 'ModelSuspended':
      return { name, modelId: hex(a['modelId']), faults: Number(a['faults']) };
    case 'Deposited':
      return { name, modelId: hex(a['modelId']), from: hex(a['from']), stake: uint(a['stake']), bond: uint(a['bond']) };
    case 'Locked':
    case 'Unlocked':
      return { name, modelId: hex(a['modelId']), amount: uint(a['amount']) };
    case 'UnbondingStarted':
      return { name, modelId: hex(a['modelId']), amount: uint(a['amount']), endsAt: Number(a['endsAt']) };
    case 'Withdrawn':
      return { name, modelId: hex(a['modelId']), payout: hex(a['payout']), stake: uint(a['stake']), bond: uint(a['bond']) };
    case 'Slashed':
      return {
        name,
        modelId: hex(a['modelId']),
        total: uint(a['total']),
        toChallenger: uint(a['toChallenger']),
        toBeneficiary: uint(a['toBeneficiary']),
        burned: uint(a['burned']),
      };
    case 'BondRefunded':
      return {
        name,
        modelId: hex(a['modelId']),
        receiptDigest: hex(a['receiptDigest']),
        beneficiary: hex(a['beneficiary']),
        amount: uint(a['amount']),
      };
    case 'RootPosted':
      return {
        name,
        claimId: hex(a['claimId']),
        versionId: hex(a['versionId']),
        root: hex(a['root']),
        count: Number(a['count']),
        maxPrice: uint(a['maxPrice']),
        locked: uint(a['locked']),
        finalizableAt: Number(a['finalizableAt']),
      };
    case 'ClaimFinalized':
      return { name, claimId: hex(a['claimId']) };
    case 'Challenged':
      return { name, receiptDigest: hex(a['receiptDigest']), modelId: hex(a['modelId']), challenger: hex(a['challenger']) };
    case 'Upheld':
      return {
        name,
        receiptDigest: hex(a['receiptDigest']),
        modelId: hex(a['modelId']),
        challenger: hex(a['challenger']),
        beneficiary: hex(a['beneficiary']),
        slashed: uint(a['slashed']),
        refund: uint(a['refund']),
      };
    default:
      return channelEvent(name, a);
  }
};

const channelEvent = (name: string, a: Result): MarketEvent | undefined => {
  switch (name) {
    case 'ChannelOpened':
      return {
        name,
        channelId: hex(a['channelId']),
        payer: hex(a['payer']),
        payee: hex(a['payee']),
        descriptor: descriptorOf(a['descriptor'] as Result),
        amount: uint(a['amount']),
      };
    case 'ToppedUp':
      return { name, channelId: hex(a['channelId']), amount: uint(a['amount']), deposit: uint(a['deposit']) };
    case 'Redeemed':
      return { name, payee: hex(a['payee']), token: hex(a['token']), paid: uint(a['paid']), rows: unpackRows(hex(a['rows'])) };
    case 'ExitStarted':
      return { name, channelId: hex(a['channelId']), closeAt: Number(a['closeAt']) };
    case 'ChannelClosed':
      return { name, channelId: hex(a['channelId']), settled: uint(a['settled']), refund: uint(a['refund']) };
    case 'RefundWithdrawn':
      return { name, channelId: hex(a['channelId']), amount: uint(a['amount']) };
    case 'RedeemerSet':
      return { name, payee: hex(a['payee']), redeemer: hex(a['redeemer']) };
    default:
      return undefined;
  }
};

const descriptorOf = (d: Result): ChannelDescriptor => ({
  payer: hex(d['payer']),
  payee: hex(d['payee']),
  token: hex(d['token']),
  signerKind: Number(d['signerKind']),
  signer: hex(d['signer']),
  withdrawDelay: Number(d['withdrawDelay']),
  salt: hex(d['salt']),
});

const ROW_DIGITS = 2 * (32 + 16);

/** channelId (32 bytes) ‖ settled (16 bytes), repeated. */
const unpackRows = (packed: Hex): RedeemedRow[] =>
  Array.from({ length: Math.floor((packed.length - 2) / ROW_DIGITS) }, (_, i) => {
    const row = packed.slice(2 + i * ROW_DIGITS, 2 + (i + 1) * ROW_DIGITS);
    return { channelId: `0x${row.slice(0, 64)}`, settled: BigInt(`0x${row.slice(64)}`) };
  });

const hex = (value: unknown): Hex => String(value).toLowerCase() as Hex;
const uint = (value: unknown): bigint => BigInt(value as bigint);
