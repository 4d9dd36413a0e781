/** Every transaction of a deployment, in order, with its addresses: decided before anything is sent. */
import type { Hex } from '@cupel/protocol/hex';
import { MODES } from '@cupel/protocol/wire/projections';
import { Interface, getCreateAddress } from 'ethers';

import { modelRegistryAbi } from './abi/modelRegistry.ts';
import { creationData } from './artifacts.ts';
import type { Artifact } from './artifacts.ts';
import { checkParameters, checkProductionParameters, refuseUnless } from './deployment-parameters.ts';
import type { DeploymentProfile, MarketParameters } from './deployment-parameters.ts';

export interface DeploymentRequest {
  readonly profile: DeploymentProfile;
  readonly chainId: bigint;
  readonly deployer: Hex;
  /** The deployer's next nonce: every address follows from it. */
  readonly nonce: number;
  readonly parameters: MarketParameters;
  /** Installs arbiters and sets the fee within its bound. Default in development: the deployer. */
  readonly admin?: Hex;
  /** Receives protocol fees. Default in development: the deployer. */
  readonly feeSink?: Hex;
  /** Existing tokens. Development deploys its own where they are absent. */
  readonly stakeToken?: Hex;
  readonly paymentToken?: Hex;
}

export type ContractName =
  | 'CupelToken'
  | 'TestDollar'
  | 'StakeVault'
  | 'ModelRegistry'
  | 'ClaimManager'
  | 'DisputeManager'
  | 'PaymentChannels'
  | 'ExecutionArbiter'
  | 'DataStore';

export type Artifacts = Readonly<Record<ContractName, Artifact>>;

export interface DeploymentStep {
  readonly name: string;
  /** Address that is created, or that is called. */
  readonly address: Hex;
  /** undefined: a creation. */
  readonly to: Hex | undefined;
  readonly data: Hex;
  readonly gasLimit: bigint;
}

export interface DeployedAddresses {
  readonly stakeToken: Hex;
  readonly paymentToken: Hex;
  readonly stakeVault: Hex;
  readonly modelRegistry: Hex;
  readonly paymentChannels: Hex;
  readonly claimManager: Hex;
  readonly disputeManager: Hex;
  readonly executionArbiter: Hex;
  readonly dataStore: Hex;
}

export interface DeploymentPlan {
  readonly steps: readonly DeploymentStep[];
  readonly addresses: DeployedAddresses;
  readonly admin: Hex;
  /** What only the admin can send, where the admin is not the deployer. */
  readonly forAdmin: readonly { readonly to: Hex; readonly data: Hex; readonly why: string }[];
}

const CPL = 10n ** 18n;
const ADDRESS_ZERO: Hex = `0x${'00'.repeat(20)}`;
const SUPPLY = 1_000_000_000n * CPL;

/** Production uses addresses that exist: nothing of value hangs on the deployer's key. */
function checkAddresses(request: DeploymentRequest): void {
  for (const name of ['stakeToken', 'paymentToken', 'admin', 'feeSink'] as const) {
    refuseUnless(request[name] !== undefined, `${name} is missing: production uses existing addresses, name one`);
  }
}

/** Lays out every transaction. Throws {@link DeploymentRefused}; the contracts check the same relations again in their constructors. */
export function planDeployment(request: DeploymentRequest, artifacts: Artifacts): DeploymentPlan {
  checkParameters(request.parameters);
  if (request.profile === 'production') {
    checkProductionParameters(request.parameters);
    checkAddresses(request);
  } else {
    refuseUnless(request.chainId !== 1n, 'profile development has a dollar that anyone can mint: it is refused on chain 1, use production');
  }

  const { parameters: p, deployer } = request;
  const admin = request.admin ?? deployer;
  const order: ContractName[] = [
    'StakeVault',
    'ModelRegistry',
    'ClaimManager',
    'DisputeManager',
    'PaymentChannels',
    'ExecutionArbiter',
    'DataStore',
  ];
  if (request.paymentToken === undefined) order.unshift('TestDollar');
  if (request.stakeToken === undefined) order.unshift('CupelToken');
  const created = new Map(order.map((name, i) => [name, createAddress(deployer, request.nonce + i)]));
  const at = (name: ContractName): Hex => {
    const address = created.get(name);
    if (address === undefined) throw new Error(`${name} is not part of this deployment`);
    return address;
  };
  const addresses: DeployedAddresses = {
    stakeToken: request.stakeToken ?? at('CupelToken'),
    paymentToken: request.paymentToken ?? at('TestDollar'),
    stakeVault: at('StakeVault'),
    modelRegistry: at('ModelRegistry'),
    paymentChannels: at('PaymentChannels'),
    claimManager: at('ClaimManager'),
    disputeManager: at('DisputeManager'),
    executionArbiter: at('ExecutionArbiter'),
    dataStore: at('DataStore'),
  };
  const args: Readonly<Record<ContractName, readonly unknown[]>> = {
    CupelToken: [SUPPLY, ADDRESS_ZERO, deployer, SUPPLY],
    TestDollar: [],
    StakeVault: [
      {
        ...addresses,
        registry: addresses.modelRegistry,
        slasher: addresses.disputeManager,
        unbondingPeriod: p.unbondingSeconds,
        minStake: p.minStake,
        minBond: p.minBond,
        challengerCap: p.challengerCap,
        beneficiaryCap: p.beneficiaryCap,
      },
    ],
    ModelRegistry: [admin, addresses.stakeVault, addresses.disputeManager],
    ClaimManager: [addresses.modelRegistry, addresses.stakeVault, p.windowSeconds, p.lockRate],
    DisputeManager: [
      {
        registry: addresses.modelRegistry,
        vault: addresses.stakeVault,
        claimManager: addresses.claimManager,
        evidencePeriod: p.evidenceSeconds,
        maxGame: p.maxGameSeconds,
        margin: p.marginSeconds,
        firstFaultBps: p.firstFaultBps,
        faultRate: p.faultRate,
      },
    ],
    PaymentChannels: [p.minWithdrawDelaySeconds, p.maxWithdrawDelaySeconds, admin, request.feeSink ?? deployer, p.maxFeeBps],
    ExecutionArbiter: [],
    DataStore: [],
  };
  const steps: DeploymentStep[] = order.map((name) => {
    const data = creationData(artifacts[name], args[name]);
    return { name, address: at(name), to: undefined, data, gasLimit: creationGas(data) };
  });
  const install = {
    to: addresses.modelRegistry,
    data: new Interface(modelRegistryAbi).encodeFunctionData('installArbiter', [
      MODES.indexOf('IntegerExecution'),
      addresses.executionArbiter,
    ]) as Hex,
  };
  if (admin !== deployer)
    return { steps, addresses, admin, forAdmin: [{ ...install, why: 'installs the ExecutionArbiter for IntegerExecution' }] };
  steps.push({ name: 'installArbiter', address: install.to, to: install.to, data: install.data, gasLimit: 150_000n });
  return { steps, addresses, admin, forAdmin: [] };
}

function createAddress(from: Hex, nonce: number): Hex {
  return getCreateAddress({ from, nonce }).toLowerCase() as Hex;
}

/** An upper bound, since contracts that are not mined yet cannot be estimated against: calldata, code deposit, and a constructor's work. */
function creationGas(data: Hex): bigint {
  const bytes = BigInt((data.length - 2) / 2);
  return 53_000n + 218n * bytes + 600_000n;
}
