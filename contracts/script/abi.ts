/**
 * Writes packages/chain/src/abi/<contract>.ts from contracts/out, and contracts/src.hash.
 *
 *   node contracts/script/abi.ts           compiles, then writes
 *   node contracts/script/abi.ts --check   exits 1 if the sources or the ABIs are not those that src.hash names; compiles nothing
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderAbi, renderErrors, type Artifact } from '@cupel/chain/artifacts';

const contractsDir = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const rootDir = resolve(contractsDir, '..');
const abiDir = resolve(rootDir, 'packages/chain/src/abi');
const hashFile = resolve(contractsDir, 'src.hash');

/** Export name → contract. */
const CONTRACTS = {
  cupelToken: 'CupelToken',
  dataStore: 'DataStore',
  disputeManager: 'DisputeManager',
  claimManager: 'ClaimManager',
  executionArbiter: 'ExecutionArbiter',
  modelRegistry: 'ModelRegistry',
  paymentChannels: 'PaymentChannels',
  stakeVault: 'StakeVault',
  testDollar: 'TestDollar',
} as const;

function digest(dir: string, pattern: string): string {
  const hash = createHash('sha256');
  for (const path of globSync(pattern, { cwd: dir }).toSorted()) {
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(dir, path)))
      .update('\0');
  }
  return hash.digest('hex');
}

function currentHashes(): string {
  return `src ${digest(contractsDir, 'src/**/*.sol')}\nabi ${digest(abiDir, '*.ts')}\n`;
}

function run(command: string, args: readonly string[]): void {
  const { status } = spawnSync(command, args, { stdio: 'inherit', cwd: rootDir });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed with status ${status}`);
}

function readArtifact(contract: string): Artifact {
  return JSON.parse(readFileSync(join(contractsDir, 'out', `${contract}.sol`, `${contract}.json`), 'utf8')) as Artifact;
}

function generate(): void {
  run(process.execPath, [join(contractsDir, 'script/forge.ts'), 'build']);
  mkdirSync(abiDir, { recursive: true });
  writeFileSync(join(abiDir, 'errors.ts'), renderErrors(Object.values(CONTRACTS).map(readArtifact)));
  for (const [name, contract] of Object.entries(CONTRACTS)) {
    writeFileSync(join(abiDir, `${name}.ts`), renderAbi(`${name}Abi`, readArtifact(contract)));
  }
  writeFileSync(hashFile, currentHashes());
}

if (process.argv.includes('--check')) {
  const recorded = readFileSync(hashFile, 'utf8');
  if (recorded !== currentHashes()) {
    console.error('contracts/src or packages/chain/src/abi changed: run `node contracts/script/abi.ts` and commit what it writes');
    process.exitCode = 1;
  }
} else {
  generate();
}
