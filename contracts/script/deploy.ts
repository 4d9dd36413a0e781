/**
 * Deploys a market and writes where it is.
 *
 *   node contracts/script/deploy.ts --rpc <url> --chain-id <id> --key-file <file> --out <file> [--profile development|production] [--<parameter> <value> …]
 *
 * `--key-file` holds the deployer's private key as 0x and 64 hex digits. Parameters are those of MarketParameters in kebab case, for example
 * `--window-seconds 5`; addresses: `--admin`, `--fee-sink`, `--stake-token`, `--payment-token`. Prints and writes
 * {chainId, block, contracts, extra, profile, forAdmin}.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readArtifacts } from '@cupel/chain/artifact-files';
import { connectChain } from '@cupel/chain/connect';
import { deployMarket } from '@cupel/chain/deploy';
import { developmentParameters, productionParameters } from '@cupel/chain/deployment-parameters';
import type { MarketParameters } from '@cupel/chain/deployment-parameters';
import type { Hex } from '@cupel/protocol/hex';

const PARAMETERS = Object.keys(developmentParameters()) as (keyof MarketParameters)[];
const ADDRESSES = ['admin', 'feeSink', 'stakeToken', 'paymentToken'] as const;
const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: {
    rpc: text,
    'chain-id': text,
    'key-file': text,
    out: text,
    profile: { type: 'string', default: 'development' },
    ...Object.fromEntries([...PARAMETERS, ...ADDRESSES].map((name) => [kebab(name), text])),
  },
});
const given: Readonly<Record<string, string | boolean | undefined>> = values;

function option(name: string): string | undefined {
  const value = given[name];
  return typeof value === 'string' ? value : undefined;
}

function required(name: string): string {
  const value = option(name);
  if (value === undefined) throw new Error(`--${name} is missing`);
  return value;
}

function parameters(): Partial<MarketParameters> {
  const entries = PARAMETERS.flatMap((name) => {
    const value = option(kebab(name));
    if (value === undefined) return [];
    if (!/^\d+$/.test(value)) throw new Error(`--${kebab(name)} is "${value}": give a non-negative integer`);
    return [[name, BigInt(value)] as const];
  });
  return Object.fromEntries(entries);
}

function addresses(): Partial<Record<(typeof ADDRESSES)[number], Hex>> {
  const entries = ADDRESSES.flatMap((name) => {
    const value = option(kebab(name));
    if (value === undefined) return [];
    if (!/^0x[0-9a-fA-F]{40}$/.test(value)) throw new Error(`--${kebab(name)} is "${value}": give 0x and 40 hex digits`);
    return [[name, value.toLowerCase()] as const];
  });
  return Object.fromEntries(entries);
}

function privateKey(): Hex {
  const path = required('key-file');
  const key = readFileSync(path, 'utf8').trim();
  // The key itself must not reach a message.
  if (!/^0x[0-9a-fA-F]{64}$/.test(key)) throw new Error(`--key-file ${path}: expected 0x and 64 hex digits`);
  return key as Hex;
}

const artifactDir = resolve(dirname(fileURLToPath(import.meta.url)), '../out');
const profile = required('profile');
if (profile !== 'development' && profile !== 'production') throw new Error(`--profile is "${profile}": give development or production`);
const silent = () => undefined;
await using client = connectChain({
  rpc: [{ name: 'deploy', url: required('rpc') }],
  chainId: Number(required('chain-id')),
  logger: { debug: silent, info: silent, warn: silent, error: silent },
});
const deployment = await deployMarket({
  client,
  profile,
  privateKey: privateKey(),
  artifacts: readArtifacts(artifactDir),
  parameters: profile === 'production' ? productionParameters(parameters()) : developmentParameters(parameters()),
  ...addresses(),
  sleep: (ms) => sleep(ms),
  now: () => performance.now(),
});
const json = `${JSON.stringify(deployment, undefined, 2)}\n`;
const out = option('out');
if (out !== undefined) {
  mkdirSync(dirname(resolve(out)), { recursive: true });
  writeFileSync(out, json);
}
process.stdout.write(json);
