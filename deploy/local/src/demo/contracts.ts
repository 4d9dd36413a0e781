import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { contracts as contractsSchema } from '@cupel/protocol/wire/config';
import type { Contracts } from '@cupel/protocol/wire/config';
import type { Hex } from '@cupel/protocol/hex';

import { run } from '../command.ts';
import { checkoutFolder } from '../config.ts';

/** `forge build` by the script that the contracts' README names; a fraction of a second when nothing changed. */
export const buildContracts = (): Promise<string> => run(process.execPath, ['contracts/script/forge.ts', 'build'], { cwd: checkoutFolder });

/** Deploys with the script that anyone else would use; `parameters` are its options in kebab case. */
export const deployContracts = async (
  rpcUrl: string,
  chainId: number,
  key: Hex,
  folder: string,
  parameters: Readonly<Record<string, number>>,
): Promise<{ contracts: Contracts; block: number }> => {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const keyFile = join(folder, 'deployer.key');
  const out = join(folder, 'market.json');
  await writeFile(keyFile, key, { mode: 0o600 });
  const options = Object.entries(parameters).flatMap(([name, value]) => [`--${name}`, String(value)]);
  await run(
    process.execPath,
    [
      'contracts/script/deploy.ts',
      '--rpc',
      rpcUrl,
      '--chain-id',
      String(chainId),
      '--key-file',
      keyFile,
      '--out',
      out,
      '--profile',
      'development',
      ...options,
    ],
    { cwd: checkoutFolder },
  );
  const deployment = JSON.parse(await readFile(out, 'utf8')) as { contracts: unknown; block: number };
  return { contracts: contractsSchema.parse(deployment.contracts), block: deployment.block };
};
