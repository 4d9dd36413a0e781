import type { MarketStatus } from '@cupel/protocol/crd/market';

import { conditionsFrom } from '../conditions.ts';
import type { Found } from '../conditions.ts';
import type { ChainFacts, ObservedMarket } from './observe.ts';

export interface MarketPlan {
  readonly status: MarketStatus;
  readonly lookAgainInMs: number;
}

const READY_MS = 30_000;
const FAILING_MS = 5_000;

/** 0.01 and 0.0005 of the native coin: some hundred, and a handful of, transactions at 1 gwei. */
const ENOUGH_WEI = 10n ** 16n;
const EMPTY_WEI = 5n * 10n ** 14n;

type Right = Extract<ChainFacts, { rightChain: true }>;

/** Whether this is the chain, and these are the contracts, that the spec names. */
export const decideMarket = (o: ObservedMarket): MarketPlan => {
  const { object, facts } = o;
  const { generation } = object.metadata;
  const before = object.status;
  const right = facts.reachable && facts.rightChain ? facts : undefined;
  const found: Found[] = [reachable(facts), chainIdMatches(o), codePresent(o, right), finality(o, right), float(o, right)].map((finding) =>
    finding.status === 'Unknown' ? (before?.conditions?.find(({ type }) => type === finding.type) ?? finding) : finding,
  );
  found.push(ready(found));
  const seenId = facts.reachable ? facts.chainId : before?.chainId;
  return {
    status: {
      observedGeneration: generation,
      ...(seenId === undefined ? {} : { chainId: seenId }),
      ...codeHashes(o, right),
      ...accounts(o, right),
      conditions: conditionsFrom(before?.conditions, found, generation, o.nowMs),
    },
    lookAgainInMs: found.every(({ status }) => status === 'True') ? READY_MS : FAILING_MS,
  };
};

const yes = (type: string, reason: string, message: string): Found => ({ type, status: 'True', reason, message });
const no = (type: string, reason: string, message: string): Found => ({ type, status: 'False', reason, message });
const notLooked = (type: string): Found => ({ type, status: 'Unknown', reason: 'NotLooked', message: 'the chain could not be asked' });

const reachable = (facts: ChainFacts): Found =>
  facts.reachable
    ? yes('Reachable', 'Reachable', 'an RPC endpoint answers')
    : no(
        'Reachable',
        'Unreachable',
        `no endpoint of spec.rpc answers: ${facts.message}; correct the URL, or the network policy of the operator`,
      );

const chainIdMatches = ({ object, facts }: ObservedMarket): Found => {
  const type = 'ChainIdMatches';
  if (!facts.reachable) return notLooked(type);
  return facts.rightChain
    ? yes(type, 'Matches', `the chain id is ${facts.chainId}`)
    : no(
        type,
        'WrongChainId',
        `spec.chain.id is ${object.spec.chain.id}, but ${facts.message}; correct spec.rpc, or create a new Market with the right chain id`,
      );
};

const codePresent = ({ object }: ObservedMarket, right: Right | undefined): Found => {
  const type = 'CodePresent';
  if (right === undefined) return notLooked(type);
  const entries = Object.entries(object.spec.contracts);
  const missing = entries.find(([name]) => right.code[name] === undefined);
  if (missing) {
    return no(
      type,
      'NoCode',
      `spec.contracts.${missing[0]} ${missing[1]} has no code on chain ${right.chainId}; create a new Market with the right address`,
    );
  }
  const changed = object.status?.codeHashes?.find(
    ({ contract, hash }) => right.code[contract] !== undefined && right.code[contract] !== hash,
  );
  if (changed) {
    return no(
      type,
      'CodeChanged',
      `the code of spec.contracts.${changed.contract} is no longer ${changed.hash}; find out why, then create a new Market`,
    );
  }
  return yes(type, 'Present', `code is present at all ${entries.length} contracts`);
};

const finality = ({ object }: ObservedMarket, right: Right | undefined): Found => {
  const type = 'FinalityKnown';
  if (right === undefined) return notLooked(type);
  return right.finality === undefined
    ? yes(type, 'Known', `the ${object.spec.chain.finality.toLowerCase()} head is known`)
    : no(type, 'NoSuchHead', `spec.chain.finality ${object.spec.chain.finality}: ${right.finality}; use finality: Confirmations`);
};

const floatOf = (wei: bigint): 'Enough' | 'Low' | 'Empty' => (wei >= ENOUGH_WEI ? 'Enough' : wei >= EMPTY_WEI ? 'Low' : 'Empty');

const float = (_o: ObservedMarket, right: Right | undefined): Found => {
  const type = 'AccountsFunded';
  if (right === undefined) return notLooked(type);
  const low = right.accounts.filter(({ wei }) => floatOf(wei) !== 'Enough');
  return low.length === 0
    ? yes(type, 'Enough', 'every signing account can pay for gas')
    : no(type, 'LowFloat', `${low.map(({ address }) => address).join(', ')} run out of native coin for gas; send them some`);
};

/** Float is a warning: it does not make the chain another one. */
const ready = (found: readonly Found[]): Found => {
  const failing = found.find(({ type, status }) => type !== 'AccountsFunded' && status !== 'True');
  return failing === undefined
    ? yes('Ready', 'Ready', 'chain and contracts are as the spec names them')
    : { type: 'Ready', status: failing.status, reason: failing.reason, message: `${failing.type}: ${failing.message}` };
};

const codeHashes = ({ object }: ObservedMarket, right: Right | undefined): Pick<MarketStatus, 'codeHashes'> => {
  // The first hash stays: a later one is compared with it.
  const known = new Map((object.status?.codeHashes ?? []).map(({ contract, hash }) => [contract, hash]));
  for (const contract of Object.keys(object.spec.contracts)) {
    const hash = right?.code[contract];
    if (hash !== undefined && !known.has(contract)) known.set(contract, hash);
  }
  const list = [...known].map(([contract, hash]) => ({ contract, hash })).toSorted((a, b) => (a.contract < b.contract ? -1 : 1));
  return list.length === 0 ? {} : { codeHashes: list };
};

const accounts = ({ object }: ObservedMarket, right: Right | undefined): Pick<MarketStatus, 'accounts'> => {
  const list =
    right === undefined
      ? object.status?.accounts
      : right.accounts.map(({ address, wei }) => ({ address, float: floatOf(wei) })).toSorted((a, b) => (a.address < b.address ? -1 : 1));
  return list === undefined || list.length === 0 ? {} : { accounts: list };
};
