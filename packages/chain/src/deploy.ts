/** Deploys a market: every transaction is sent at once with its own nonce, then all are waited for, then the result is read back and checked. */
import type { Hex } from '@cupel/protocol/hex';
import { MODES } from '@cupel/protocol/wire/projections';
import { Interface, Wallet } from 'ethers';

import { claimManagerAbi } from './abi/claimManager.ts';
import { disputeManagerAbi } from './abi/disputeManager.ts';
import { modelRegistryAbi } from './abi/modelRegistry.ts';
import { paymentChannelsAbi } from './abi/paymentChannels.ts';
import { stakeVaultAbi } from './abi/stakeVault.ts';
import type { ChainClient, TransactionReceipt } from './client.ts';
import { planDeployment } from './deployment-plan.ts';
import type { DeploymentProfile } from './deployment-parameters.ts';
import type { Artifacts, DeploymentPlan, DeploymentRequest } from './deployment-plan.ts';

export interface Deployment {
  readonly chainId: number;
  /** Block of the first transaction: where a watcher starts. */
  readonly block: number;
  readonly contracts: Readonly<
    Record<'stakeToken' | 'paymentToken' | 'stakeVault' | 'modelRegistry' | 'paymentChannels' | 'claimManager' | 'disputeManager', Hex>
  >;
  readonly extra: { readonly executionArbiter: Hex; readonly dataStore: Hex };
  readonly profile: DeploymentProfile;
  /** Calls that the admin has still to send, where the admin is not the deployer. */
  readonly forAdmin: DeploymentPlan['forAdmin'];
}

export interface DeployOptions extends Omit<DeploymentRequest, 'chainId' | 'deployer' | 'nonce'> {
  readonly client: ChainClient;
  /** 32 bytes; never logged. */
  readonly privateKey: Hex;
  readonly artifacts: Artifacts;
  /** Default 60 s for all transactions together. */
  readonly timeoutMs?: number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
}

/** A transaction failed, never arrived, or what stands on the chain is not what was asked for. */
export class DeploymentFailed extends Error {
  override readonly name = 'DeploymentFailed';
}

/** Throws `DeploymentRefused` before anything is sent, {@link DeploymentFailed} after. */
export async function deployMarket(options: DeployOptions): Promise<Deployment> {
  const { client } = options;
  const wallet = new Wallet(options.privateKey);
  const deployer = wallet.address.toLowerCase() as Hex;
  const nonce = await client.nonce(deployer, 'pending');
  const plan = planDeployment({ ...options, chainId: client.chainId, deployer, nonce }, options.artifacts);
  const fees = await client.fees();
  const hashes: Hex[] = [];
  for (const [i, { to, data, gasLimit }] of plan.steps.entries()) {
    const raw = await wallet.signTransaction({
      type: 2,
      chainId: client.chainId,
      nonce: nonce + i,
      to: to ?? null,
      data,
      gasLimit,
      ...fees,
    });
    hashes.push(await client.sendRaw(raw as Hex));
  }
  const receipts = await awaitReceipts(plan, hashes, options);
  await checkDeployment(client, plan, options);
  const { executionArbiter, dataStore, ...contracts } = plan.addresses;
  return {
    chainId: Number(client.chainId),
    block: Math.min(...receipts.map((receipt) => receipt.blockNumber)),
    contracts,
    extra: { executionArbiter, dataStore },
    profile: options.profile,
    forAdmin: plan.forAdmin,
  };
}

async function awaitReceipts(plan: DeploymentPlan, hashes: readonly Hex[], options: DeployOptions): Promise<readonly TransactionReceipt[]> {
  const deadline = options.now() + (options.timeoutMs ?? 60_000);
  const receipts: TransactionReceipt[] = [];
  for (const [i, hash] of hashes.entries()) {
    const name = plan.steps[i]?.name ?? hash;
    let receipt = await options.client.receipt(hash);
    while (receipt === undefined) {
      if (options.now() > deadline)
        throw new DeploymentFailed(`${name}: transaction ${hash} is in no block yet; see the deployer's balance and the chain`);
      await options.sleep(100);
      receipt = await options.client.receipt(hash);
    }
    if (!receipt.success)
      throw new DeploymentFailed(`${name}: transaction ${hash} was reverted in block ${receipt.blockNumber} (gas used ${receipt.gasUsed})`);
    receipts.push(receipt);
  }
  return receipts;
}

/** Reads the wiring back. The DisputeManager's constructor has checked the same; this also sees a wrong artifact or a wrong chain. */
async function checkDeployment(client: ChainClient, plan: DeploymentPlan, { parameters: p }: DeployOptions): Promise<void> {
  const a = plan.addresses;
  const integerMode = MODES.indexOf('IntegerExecution');
  const expected: readonly (readonly [Hex, readonly string[], string, readonly unknown[], Hex | bigint])[] = [
    [a.stakeVault, stakeVaultAbi, 'stakeToken', [], a.stakeToken],
    [a.stakeVault, stakeVaultAbi, 'paymentToken', [], a.paymentToken],
    [a.stakeVault, stakeVaultAbi, 'registry', [], a.modelRegistry],
    [a.stakeVault, stakeVaultAbi, 'claimManager', [], a.claimManager],
    [a.stakeVault, stakeVaultAbi, 'slasher', [], a.disputeManager],
    [a.stakeVault, stakeVaultAbi, 'unbondingPeriod', [], p.unbondingSeconds],
    [a.modelRegistry, modelRegistryAbi, 'admin', [], plan.admin],
    [a.modelRegistry, modelRegistryAbi, 'vault', [], a.stakeVault],
    [a.modelRegistry, modelRegistryAbi, 'disputeManager', [], a.disputeManager],
    [a.claimManager, claimManagerAbi, 'registry', [], a.modelRegistry],
    [a.claimManager, claimManagerAbi, 'window', [], p.windowSeconds],
    [a.disputeManager, disputeManagerAbi, 'evidencePeriod', [], p.evidenceSeconds],
    [a.disputeManager, disputeManagerAbi, 'firstFaultBps', [], p.firstFaultBps],
    [a.paymentChannels, paymentChannelsAbi, 'minWithdrawDelay', [], p.minWithdrawDelaySeconds],
    [a.paymentChannels, paymentChannelsAbi, 'maxWithdrawDelay', [], p.maxWithdrawDelaySeconds],
    ...(plan.forAdmin.length === 0 ? ([[a.modelRegistry, modelRegistryAbi, 'arbiterOf', [integerMode], a.executionArbiter]] as const) : []),
  ];
  await Promise.all(
    expected.map(async ([address, abi, name, args, want]) => {
      const face = new Interface(abi);
      const data = await client.call({ to: address, data: face.encodeFunctionData(name, args) as Hex });
      const got = face.decodeFunctionResult(name, data)[0] as string | bigint;
      const same = typeof got === 'bigint' ? got === want : got.toLowerCase() === want;
      if (!same) throw new DeploymentFailed(`${name} of ${address} is ${got}, expected ${want}`);
    }),
  );
  await Promise.all(
    Object.entries(a).map(async ([name, address]) => {
      if ((await client.code(address)) === '0x') throw new DeploymentFailed(`${name}: no code at ${address}`);
    }),
  );
}
