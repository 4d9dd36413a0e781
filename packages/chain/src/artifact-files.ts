import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Artifact } from './artifacts.ts';
import type { Artifacts, ContractName } from './deployment-plan.ts';

const CONTRACTS: readonly ContractName[] = [
  'CupelToken',
  'TestDollar',
  'StakeVault',
  'ModelRegistry',
  'ClaimManager',
  'DisputeManager',
  'PaymentChannels',
  'ExecutionArbiter',
  'DataStore',
];

/** Reads what `forge build` wrote. `out`: path of contracts/out. Throws with the remedy when an artifact is missing. */
export function readArtifacts(out: string): Artifacts {
  const read = (name: ContractName): Artifact => JSON.parse(readFileSync(join(out, `${name}.sol`, `${name}.json`), 'utf8')) as Artifact;
  try {
    return Object.fromEntries(CONTRACTS.map((name) => [name, read(name)])) as Record<ContractName, Artifact>;
  } catch (cause) {
    throw new Error(`artifacts are missing in ${out}: run \`node contracts/script/forge.ts build\` first`, { cause });
  }
}
