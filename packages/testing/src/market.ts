import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Artifact } from '@cupel/chain/artifacts';
import type { ChainClient, TransactionReceipt } from '@cupel/chain/client';
import { connectChain } from '@cupel/chain/connect';
import { marketCalls } from '@cupel/chain/contracts';
import type { MarketCalls, VersionTerms } from '@cupel/chain/contracts';
import { deployMarket } from '@cupel/chain/deploy';
import type { Deployment } from '@cupel/chain/deploy';
import { developmentParameters } from '@cupel/chain/deployment-parameters';
import type { MarketParameters } from '@cupel/chain/deployment-parameters';
import type { Artifacts, ContractName } from '@cupel/chain/deployment-plan';
import type { Call } from '@cupel/chain/lane';
import { decodeError } from '@cupel/chain/errors';
import { signTransaction } from '@cupel/chain/sign';
import { marketViews } from '@cupel/chain/views';
import type { MarketViews } from '@cupel/chain/views';
import type { Anvil } from '@cupel/local/processes/anvil';
import type { Hex } from '@cupel/protocol/hex';
import { modelIdOf, versionIdOf } from '@cupel/protocol/ids';
import { baseUnits } from '@cupel/protocol/money';
import type { Prices } from '@cupel/protocol/money';
import { keccak256 } from '@cupel/signing/keccak';
import { signerFromKey } from '@cupel/signing/secp256k1';

import { memoryLogger } from './logger.ts';

export interface TestMarket {
  readonly deployment: Deployment;
  readonly client: ChainClient;
  readonly calls: MarketCalls;
  readonly views: MarketViews;
  /** Sends from an anvil account and waits for the block. Throws with the contract's reason when it fails. */
  send(account: number, call: Call): Promise<TransactionReceipt>;
  /** Mints test dollars (base units, 6 decimals). */
  mint(to: Hex, amount: bigint): Promise<void>;
  /** Sets the provider, registers, stakes and bonds; the account is owner, operator and payout. */
  registerModel(
    account: number,
    slug: string,
    more?: Partial<ModelOptions>,
  ): Promise<{ readonly modelId: Hex; readonly versionId: Hex; readonly owner: Hex }>;
}

export interface ModelOptions {
  readonly terms: VersionTerms;
  readonly prices: Prices;
  readonly endpoint: string;
  readonly specializations: readonly string[];
  readonly stake: bigint;
  readonly bond: bigint;
}

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

const OUT = join(import.meta.dirname, '..', '..', '..', 'contracts', 'out');

/** What `node contracts/script/forge.ts build` wrote. */
const readArtifacts = (): Artifacts => {
  const read = (name: ContractName): Artifact => JSON.parse(readFileSync(join(OUT, `${name}.sol`, `${name}.json`), 'utf8')) as Artifact;
  try {
    return Object.fromEntries(CONTRACTS.map((name) => [name, read(name)])) as Record<ContractName, Artifact>;
  } catch (cause) {
    throw new Error(`artifacts are missing in ${OUT}: run \`node contracts/script/forge.ts build\` first`, { cause });
  }
};

/** Deploys the development market from anvil's account 0, which keeps all of the stake token. */
export const deployTestMarket = async (anvil: Anvil, parameters: Partial<MarketParameters> = {}): Promise<TestMarket> => {
  const client = connectChain({ rpc: [{ name: 'anvil', url: anvil.rpcUrl }], chainId: anvil.chainId, logger: memoryLogger() });
  const keyOf = (account: number): Hex => anvil.accounts[account]!.privateKey;
  const deployment = await deployMarket({
    client,
    profile: 'development',
    privateKey: keyOf(0),
    artifacts: readArtifacts(),
    parameters: developmentParameters(parameters),
    sleep: (ms) => sleep(ms),
    now: () => performance.now(),
  });
  const { contracts } = deployment;
  const calls = marketCalls(contracts);
  const views = marketViews(client, contracts);

  const send = async (account: number, call: Call): Promise<TransactionReceipt> => {
    const signer = signerFromKey(keyOf(account));
    const request = { ...call, from: signer.address };
    const gas = ((await client.estimate(request)) * 5n) / 4n;
    const nonce = await client.nonce(signer.address, 'pending');
    const { raw, hash } = signTransaction(signer, { value: 0n, ...call, chainId: client.chainId, nonce, gas, ...(await client.fees()) });
    await client.sendRaw(raw);
    for (let tries = 0; tries < 500; tries++) {
      const receipt = await client.receipt(hash);
      if (receipt?.success) return receipt;
      if (receipt) throw new Error(`${hash} failed: ${decodeError('0x').message}`);
      await sleep(20);
    }
    throw new Error(`${hash} was not mined within 10 s`);
  };

  return {
    deployment,
    client,
    calls,
    views,
    send,
    async mint(to, amount) {
      await send(0, {
        to: contracts.paymentToken,
        data: `0x40c10f19${to.slice(2).padStart(64, '0')}${amount.toString(16).padStart(64, '0')}`,
      });
    },
    async registerModel(account, slug, more = {}) {
      const owner = signerFromKey(keyOf(account)).address;
      const terms: VersionTerms = more.terms ?? {
        manifestHash: `0x${'aa'.repeat(32)}`,
        verificationRoot: `0x${'bb'.repeat(32)}`,
        mode: 'IntegerExecution',
      };
      const prices = more.prices ?? { inputPerMillion: baseUnits(0n), outputPerMillion: baseUnits(0n), perRequest: baseUnits(1000n) };
      const stake = more.stake ?? (await views.minStake()) * 10n;
      const bond = more.bond ?? (await views.minBond()) * 10n;
      await send(account, calls.setProvider(owner, owner));
      await send(account, calls.register(owner, slug, terms, prices, more.endpoint ?? 'https://edge.test', more.specializations ?? []));
      await send(0, calls.transfer(contracts.stakeToken, owner, stake));
      await send(0, {
        to: contracts.paymentToken,
        data: `0x40c10f19${owner.slice(2).padStart(64, '0')}${bond.toString(16).padStart(64, '0')}`,
      });
      await send(account, calls.approve(contracts.stakeToken, contracts.stakeVault, stake));
      await send(account, calls.approve(contracts.paymentToken, contracts.stakeVault, bond));
      const modelId = modelIdOf(keccak256, owner, slug);
      await send(account, calls.deposit(modelId, stake, bond));
      return { modelId, versionId: versionIdOf(keccak256, modelId, 1), owner };
    },
  };
};
