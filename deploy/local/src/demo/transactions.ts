import { interfaces } from '@cupel/chain/contracts';
import type { Contracts } from '@cupel/protocol/wire/config';

import type { MinedTransaction } from './rpc.ts';

/** A name for people: contract.function, or what else a transaction is. */
export const transactionName = (t: MinedTransaction, contracts: Contracts): string => {
  if (t.to === null) return 'deploy a contract';
  if (t.to === t.from) return 'commit to a seed (verifier)';
  const known = (Object.entries(contracts) as [keyof Contracts, string][]).find(([, address]) => address === t.to);
  if (!known) return t.selector === '0x' ? 'send coins' : 'store weights / other';
  const [name] = known;
  const face = name === 'stakeToken' ? interfaces.stakeToken : interfaces[name];
  return `${name}.${face.getFunction(t.selector)?.name ?? t.selector}`;
};
