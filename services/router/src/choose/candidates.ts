import type { Hex } from '@cupel/protocol/hex';
import type { Mode, RegistryEntry } from '@cupel/protocol/wire/projections';

export type ModelKind = 'chat' | 'integer';

/** What a public name means at this gateway: never the provider's word, always hashes. */
export interface WantedModel {
  readonly manifestSha256: string;
  readonly kind: ModelKind;
  readonly verificationRoot?: Hex | undefined;
}

export const kindOf = (mode: Mode): ModelKind => (mode === 'IntegerExecution' ? 'integer' : 'chat');

const bare = (hash: string): string => hash.replace(/^0x/, '').toLowerCase();

/** An entry that can be paid and asked. */
export type Candidate = RegistryEntry & { readonly payout: Hex };

/** Active entries of exactly this model, with an address to pay and an endpoint to ask. */
export const candidatesOf = (entries: Iterable<RegistryEntry>, wanted: WantedModel): Candidate[] => {
  const found: Candidate[] = [];
  for (const entry of entries) {
    if (entry.status !== 'active' || !URL.canParse(entry.endpoint) || entry.payout === undefined) continue;
    if (bare(entry.manifestSha256) !== bare(wanted.manifestSha256)) continue;
    if (kindOf(entry.mode) !== wanted.kind) continue;
    if (wanted.verificationRoot !== undefined && entry.verificationRoot !== wanted.verificationRoot) continue;
    found.push({ ...entry, payout: entry.payout });
  }
  return found;
};

/** Identity of a candidate for latency, load and breaker: a model at its present address. */
export const candidateKey = (candidate: Pick<RegistryEntry, 'modelId' | 'endpoint'>): string =>
  `${candidate.modelId} ${candidate.endpoint}`;
