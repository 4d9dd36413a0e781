import { interfaces } from '@cupel/chain/contracts';

import type { Progress } from '../progress.ts';
import { firstVersionOf } from './grants.ts';
import { waitFor } from './kubectl.ts';
import type { Told } from './story.ts';

const ACCOUNT = interfaces.stakeVault.getFunction('account')!.selector;

/** StakeVault.account(bytes32): free, locked, unbonding, unbondEnd, bond. */
const unbondEndOf = async (told: Told, modelId: string): Promise<bigint> => {
  const data = await told.rpc<string>('eth_call', [
    { to: told.stage.contracts.stakeVault, data: `${ACCOUNT}${modelId.slice(2)}` },
    'latest',
  ]);
  return BigInt(`0x${data.slice(2 + 64 * 3, 2 + 64 * 4)}`);
};

const gone = (told: Told, args: readonly string[]): Promise<true | undefined> =>
  told.cluster.kubectl(['get', ...args, '--ignore-not-found', '-o', 'name']).then((out) => (out.trim() === '' ? true : undefined));

/** Step 8: what is deleted drains, deregisters, starts unbonding and goes; a staked namespace goes too. */
export const sayFarewell = async (progress: Progress, told: Told): Promise<void> => {
  await progress.step('kubectl delete modelprovider digits', async () => {
    await told.cluster.kubectl(['-n', 'honest', 'delete', 'modelprovider', 'digits', '--wait=false']);
    await waitFor('digits to be gone', () => gone(told, ['-n', 'honest', 'modelprovider', 'digits']), 60_000);
    await waitFor('its pods to be gone', () => gone(told, ['-n', 'honest', 'deployment', '-l', 'cupel.dev/modelprovider=digits']), 30_000);
    const { modelId } = firstVersionOf(told.stage.accounts.honest.owner.address, 'honest/digits');
    if ((await unbondEndOf(told, modelId)) === 0n) throw new Error('digits is gone, but unbonding was not started on chain');
  });
  await progress.step('kubectl delete namespace cheat, while it is staked', async () => {
    await told.cluster.kubectl(['delete', 'namespace', 'cheat', '--wait=false']);
    await waitFor('the namespace to be gone', () => gone(told, ['namespace', 'cheat']), 90_000);
  });
};
