import type { Hex } from '@cupel/protocol/hex';
import { getCreateAddress } from 'ethers';
import { describe, expect, it } from 'vitest';

import type { Artifact } from '../src/artifacts.ts';
import { DeploymentRefused, developmentParameters, productionParameters } from '../src/deployment-parameters.ts';
import { planDeployment } from '../src/deployment-plan.ts';
import type { Artifacts, ContractName, DeploymentRequest } from '../src/deployment-plan.ts';

const address = (n: number): Hex => `0x${n.toString(16).padStart(40, '0')}`;
const DEPLOYER: Hex = `0x${'d0'.repeat(20)}`;

const uint = (name: string) => ({ name, type: 'uint256' });
const tuple = (names: readonly string[]) => [
  {
    name: 's',
    type: 'tuple',
    components: names.map((name) => ({ name, type: name.match(/Token|registry|vault|Manager|slasher/) ? 'address' : 'uint256' })),
  },
];

const INPUTS: Readonly<Record<ContractName, readonly unknown[]>> = {
  CupelToken: [uint('cap'), { name: 'minter', type: 'address' }, { name: 'holder', type: 'address' }, uint('supply')],
  TestDollar: [],
  StakeVault: tuple([
    'stakeToken',
    'paymentToken',
    'registry',
    'claimManager',
    'slasher',
    'unbondingPeriod',
    'minStake',
    'minBond',
    'challengerCap',
    'beneficiaryCap',
  ]),
  ModelRegistry: ['admin', 'vault', 'court'].map((name) => ({ name, type: 'address' })),
  ClaimManager: [{ name: 'registry', type: 'address' }, { name: 'vault', type: 'address' }, uint('window'), uint('rate')],
  DisputeManager: tuple(['registry', 'vault', 'claimManager', 'evidencePeriod', 'maxGame', 'margin', 'firstFaultBps', 'faultRate']),
  PaymentChannels: [uint('min'), uint('max'), { name: 'admin', type: 'address' }, { name: 'sink', type: 'address' }, uint('fee')],
  ExecutionArbiter: [],
  DataStore: [],
};

const artifactOf = (inputs: readonly unknown[]): Artifact => {
  const constructor = { type: 'constructor', stateMutability: 'nonpayable', inputs };
  return { abi: [constructor], bytecode: { object: '0x6001' } };
};

const artifacts = Object.fromEntries(Object.entries(INPUTS).map(([name, inputs]) => [name, artifactOf(inputs)])) as Artifacts;

const development = (more: Partial<DeploymentRequest> = {}): DeploymentRequest => ({
  profile: 'development',
  chainId: 31337n,
  deployer: DEPLOYER,
  nonce: 7,
  parameters: developmentParameters(),
  ...more,
});

const production = (more: Partial<DeploymentRequest> = {}): DeploymentRequest => ({
  profile: 'production',
  chainId: 10n,
  deployer: DEPLOYER,
  nonce: 0,
  parameters: productionParameters(),
  stakeToken: address(1),
  paymentToken: address(2),
  admin: address(3),
  feeSink: address(4),
  ...more,
});

describe('the plan of a deployment', () => {
  it('creates each contract at the address that its nonce gives, and installs the arbiter', () => {
    const plan = planDeployment(development(), artifacts);
    const creations = plan.steps.filter((step) => step.to === undefined);
    expect(creations.map((step) => step.name)).toEqual([
      'CupelToken',
      'TestDollar',
      'StakeVault',
      'ModelRegistry',
      'ClaimManager',
      'DisputeManager',
      'PaymentChannels',
      'ExecutionArbiter',
      'DataStore',
    ]);
    creations.forEach((step, i) => expect(step.address).toBe(getCreateAddress({ from: DEPLOYER, nonce: 7 + i }).toLowerCase()));
    expect(plan.steps.at(-1)).toMatchObject({ name: 'installArbiter', to: plan.addresses.modelRegistry });
    expect(plan.forAdmin).toEqual([]);
  });

  it('gives the vault the court that is created later as its only slasher', () => {
    const plan = planDeployment(development(), artifacts);
    const vault = plan.steps.find((step) => step.name === 'StakeVault');
    expect(vault?.data).toContain(plan.addresses.disputeManager.slice(2));
    expect(vault?.data).toContain(plan.addresses.claimManager.slice(2));
  });

  it('leaves to a foreign admin what only the admin may send', () => {
    const plan = planDeployment(production(), artifacts);
    expect(plan.steps.map((step) => step.name)).not.toContain('installArbiter');
    expect(plan.steps.map((step) => step.name)).not.toContain('TestDollar');
    expect(plan.forAdmin).toHaveLength(1);
    expect(plan.addresses.paymentToken).toBe(address(2));
  });

  it('takes the least unbonding that the contracts accept unless told otherwise', () => {
    expect(developmentParameters({ evidenceSeconds: 60n, windowSeconds: 5n }).unbondingSeconds).toBe(65n);
    expect(developmentParameters({ unbondingSeconds: 700n }).unbondingSeconds).toBe(700n);
  });

  it.each([
    [
      'unbondingSeconds',
      development({ parameters: developmentParameters({ unbondingSeconds: 604n }) }),
      /at least evidence \+ window \+ game \+ margin = 605/,
    ],
    ['windowSeconds', development({ parameters: developmentParameters({ windowSeconds: 601n }) }), /must not exceed evidenceSeconds = 600/],
    ['minWithdrawDelaySeconds', development({ parameters: developmentParameters({ minWithdrawDelaySeconds: 0n }) }), /between 1 and/],
    ['firstFaultBps', development({ parameters: developmentParameters({ firstFaultBps: 4_999n }) }), /between 5000 and 10000/],
    ['minBond', development({ parameters: developmentParameters({ minBond: -1n }) }), /non-negative/],
    ['development', development({ chainId: 1n }), /refused on chain 1/],
    ['evidenceSeconds', production({ parameters: productionParameters({ evidenceSeconds: 604_799n }) }), /at least 604800/],
    ['windowSeconds', production({ parameters: productionParameters({ windowSeconds: 3_599n }) }), /at least 3600/],
    ['marginSeconds', production({ parameters: productionParameters({ marginSeconds: 86_399n }) }), /at least 86400/],
    ['minWithdrawDelaySeconds', production({ parameters: productionParameters({ minWithdrawDelaySeconds: 3_599n }) }), /at least 3600/],
    ['faultRate', production({ parameters: productionParameters({ faultRate: 0n }) }), /more than 0/],
    ['minStake', production({ parameters: productionParameters({ minStake: 0n }) }), /more than 0/],
    ['minBond', production({ parameters: productionParameters({ minBond: 0n }) }), /more than 0/],
    [
      'maxWithdrawDelaySeconds',
      production({ parameters: productionParameters({ maxWithdrawDelaySeconds: 2_592_001n }) }),
      /at most 2592000/,
    ],
  ])('refuses a bad %s and names the remedy', (name, request, remedy) => {
    const refused = () => planDeployment(request, artifacts);
    expect(refused).toThrow(DeploymentRefused);
    expect(refused).toThrow(name);
    expect(refused).toThrow(remedy);
  });

  it.each(['stakeToken', 'paymentToken', 'admin', 'feeSink'] as const)('asks for %s in production', (name) => {
    const { [name]: _left, ...rest } = production();
    expect(() => planDeployment(rest, artifacts)).toThrow(`${name} is missing`);
  });
});
