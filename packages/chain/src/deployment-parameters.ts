/** The numbers of a market and what each profile refuses. */

export type DeploymentProfile = 'development' | 'production';

/** Seconds; amounts in base units of their token; rates in units of stake per base unit of the payment token; shares in 1/10,000. */
export interface MarketParameters {
  readonly evidenceSeconds: bigint;
  readonly windowSeconds: bigint;
  readonly maxGameSeconds: bigint;
  readonly marginSeconds: bigint;
  readonly unbondingSeconds: bigint;
  readonly minWithdrawDelaySeconds: bigint;
  readonly maxWithdrawDelaySeconds: bigint;
  readonly minStake: bigint;
  readonly minBond: bigint;
  readonly challengerCap: bigint;
  readonly beneficiaryCap: bigint;
  readonly lockRate: bigint;
  readonly faultRate: bigint;
  readonly firstFaultBps: bigint;
  readonly maxFeeBps: bigint;
}

/** The deployment was refused before anything was sent; the message names the parameter and the remedy. */
export class DeploymentRefused extends Error {
  override readonly name = 'DeploymentRefused';
}

const HOUR = 3600n;
const DAY = 24n * HOUR;
const CPL = 10n ** 18n;

/** One unit of CPL for each dollar at six decimals. */
const RATE = 10n ** 12n;

type Defaults = Omit<MarketParameters, 'unbondingSeconds'>;

const DEVELOPMENT: Defaults = {
  evidenceSeconds: 600n,
  windowSeconds: 5n,
  maxGameSeconds: 0n,
  marginSeconds: 0n,
  minWithdrawDelaySeconds: 1n,
  maxWithdrawDelaySeconds: 30n * DAY,
  minStake: 100n * CPL,
  minBond: 1_000_000n,
  challengerCap: 10_000n * CPL,
  beneficiaryCap: 20_000n * CPL,
  lockRate: RATE,
  faultRate: 10n * RATE,
  firstFaultBps: 5_000n,
  maxFeeBps: 500n,
};

const PRODUCTION: Defaults = {
  ...DEVELOPMENT,
  evidenceSeconds: 7n * DAY,
  windowSeconds: HOUR,
  maxGameSeconds: 12n * HOUR,
  marginSeconds: DAY,
  minWithdrawDelaySeconds: HOUR,
};

/** Short windows, for chains that live for minutes. */
export const developmentParameters = (given: Partial<MarketParameters> = {}): MarketParameters => complete(DEVELOPMENT, given);

export const productionParameters = (given: Partial<MarketParameters> = {}): MarketParameters => complete(PRODUCTION, given);

/** Unbonding is the least that the contracts accept, unless it is given. */
function complete(defaults: Defaults, given: Partial<MarketParameters>): MarketParameters {
  const p = { ...defaults, ...given };
  return { unbondingSeconds: p.evidenceSeconds + p.windowSeconds + p.maxGameSeconds + p.marginSeconds, ...p };
}

export function refuseUnless(holds: boolean, message: string): asserts holds {
  if (!holds) throw new DeploymentRefused(message);
}

/** What every profile refuses; the contracts' constructors refuse the same. */
export function checkParameters(p: MarketParameters): void {
  for (const [name, value] of Object.entries(p)) refuseUnless(value >= 0n, `${name} is ${value}: give a non-negative number`);
  const least = p.evidenceSeconds + p.windowSeconds + p.maxGameSeconds + p.marginSeconds;
  refuseUnless(
    p.unbondingSeconds >= least,
    `unbondingSeconds is ${p.unbondingSeconds}: it must be at least evidence + window + game + margin = ${least}`,
  );
  refuseUnless(
    p.windowSeconds <= p.evidenceSeconds,
    `windowSeconds is ${p.windowSeconds}: it must not exceed evidenceSeconds = ${p.evidenceSeconds}`,
  );
  refuseUnless(
    p.minWithdrawDelaySeconds >= 1n && p.minWithdrawDelaySeconds <= p.maxWithdrawDelaySeconds,
    `minWithdrawDelaySeconds is ${p.minWithdrawDelaySeconds}: it must lie between 1 and maxWithdrawDelaySeconds = ${p.maxWithdrawDelaySeconds}`,
  );
  refuseUnless(
    p.firstFaultBps >= 5_000n && p.firstFaultBps <= 10_000n,
    `firstFaultBps is ${p.firstFaultBps}: it must lie between 5000 and 10000`,
  );
}

/** Short windows and models without stake are for development chains: with them a cheat can leave before anyone looks, or has nothing to lose. */
export function checkProductionParameters(p: MarketParameters): void {
  for (const name of ['minStake', 'minBond', 'faultRate'] as const)
    refuseUnless(p[name] > 0n, `${name} is ${p[name]}: production needs more than 0, or a lie costs nothing`);
  refuseUnless(p.evidenceSeconds >= 7n * DAY, `evidenceSeconds is ${p.evidenceSeconds}: production needs at least ${7n * DAY} (7 days)`);
  refuseUnless(p.windowSeconds >= HOUR, `windowSeconds is ${p.windowSeconds}: production needs at least ${HOUR} (1 hour)`);
  refuseUnless(p.marginSeconds >= DAY, `marginSeconds is ${p.marginSeconds}: production needs at least ${DAY} (1 day)`);
  refuseUnless(
    p.minWithdrawDelaySeconds >= HOUR,
    `minWithdrawDelaySeconds is ${p.minWithdrawDelaySeconds}: production needs at least ${HOUR} (1 hour)`,
  );
  refuseUnless(
    p.maxWithdrawDelaySeconds <= 30n * DAY,
    `maxWithdrawDelaySeconds is ${p.maxWithdrawDelaySeconds}: production allows at most ${30n * DAY} (30 days)`,
  );
}
