import type { Hex } from '@cupel/protocol/hex';
import type { Mode, RegistryEntry, StakeState } from '@cupel/protocol/wire/projections';

export type ModelKind = 'chat' | 'integer';

/** What a public name means at this gateway: never the provider's word, always hashes. */
export type WantedModel = { readonly manifestSha256: string } & (
  | { readonly kind: 'chat'; readonly verificationRoot?: Hex | undefined }
  | { readonly kind: 'integer'; readonly verificationRoot: Hex }
);

/** What a provider must have at risk. */
export interface LeastStake {
  /** Units of the stake token. */
  readonly stake: bigint;
  /** Base units of the payment token. */
  readonly bond: bigint;
}

export const kindOf = (mode: Mode): ModelKind => (mode === 'IntegerExecution' ? 'integer' : 'chat');

const bare = (hash: string): string => hash.replace(/^0x/, '').toLowerCase();

/** An entry that can be paid and asked. */
export type Candidate = RegistryEntry & { readonly payout: Hex };

const ZERO_ADDRESS = /^0x0+$/;

/** Stake and bond stand behind every answer. One that is leaving, or whose stake is not known yet, gets nothing. */
const staked = (stake: StakeState | undefined, least: LeastStake): boolean =>
  stake !== undefined &&
  stake.unbondEnd === 0 &&
  stake.staked > 0n &&
  stake.staked >= least.stake &&
  stake.bond > 0n &&
  stake.bond >= least.bond;

/** Active entries of exactly this model, with money at risk, an address to pay and an endpoint to ask. */
export const candidatesOf = (
  entries: Iterable<RegistryEntry>,
  wanted: WantedModel,
  stakeOf: (modelId: Hex) => StakeState | undefined,
  least: LeastStake,
): Candidate[] => {
  const found: Candidate[] = [];
  for (const entry of entries) {
    if (entry.status !== 'active' || !URL.canParse(entry.endpoint) || entry.payout === undefined) continue;
    if (bare(entry.manifestSha256) !== bare(wanted.manifestSha256)) continue;
    if (kindOf(entry.mode) !== wanted.kind) continue;
    if (wanted.verificationRoot !== undefined && entry.verificationRoot !== wanted.verificationRoot) continue;
    // Whoever cannot be judged can lie for nothing.
    if (wanted.kind === 'integer' && ZERO_ADDRESS.test(entry.arbiter)) continue;
    if (!staked(stakeOf(entry.modelId), least)) continue;
    found.push({ ...entry, payout: entry.payout });
  }
  return found;
};

/** Identity of a candidate for latency, load and breaker: a model at its present address. */
export const candidateKey = (candidate: Pick<RegistryEntry, 'modelId' | 'endpoint'>): string =>
  `${candidate.modelId} ${candidate.endpoint}`;
