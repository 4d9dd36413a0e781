import type { ChainClient } from '@cupel/chain/client';
import { executionEvidence, marketCalls, storeData } from '@cupel/chain/contracts';
import type { Call, Lane, Outcome } from '@cupel/chain/lane';
import type { MarketViews } from '@cupel/chain/views';
import { bytesToHex } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import type { Contracts } from '@cupel/protocol/wire/config';

import type { ChallengeOutcome } from '../dispute/decide.ts';
import { DEPLOYMENT_PROXY } from '../dispute/weights.ts';
import type { DataContract } from '../dispute/weights.ts';
import type { VersionFacts } from '../judge/evidence.ts';
import type { Accusation, Court } from '../loops/disputes.ts';
import type { EpochChain } from '../loops/epochs.ts';
import type { Commitment } from '../state.ts';

const WAIT_MS = 60_000;

const commitmentOf = (outcome: Outcome | undefined): Commitment | undefined =>
  outcome?.kind === 'mined' ? { tx: outcome.hash, block: outcome.receipt.blockNumber } : undefined;

/** Commits by a transaction of the verifier's key to itself. */
export const epochChain = (client: ChainClient, lane: Lane): EpochChain => ({
  async commit(key, data) {
    const outcome = await lane.send({ key, purpose: 'commit', call: { to: lane.address, data }, waitMs: WAIT_MS });
    if (outcome.kind === 'reverted') throw new Error(`the commitment failed: ${outcome.error.message}`);
    return commitmentOf(outcome);
  },
  commitment: async (key) => commitmentOf(await lane.outcome(key)),
  height: async (tag) => (await client.head(tag)).number,
  blockHash: async (number) => (await client.block(number))?.hash,
});

export interface CourtOptions {
  readonly client: ChainClient;
  readonly lane: Lane;
  readonly views: MarketViews;
  readonly contracts: Contracts;
  readonly dataStore: Hex | undefined;
}

export const chainCourt = ({ client, lane, views, contracts, dataStore }: CourtOptions): Court => {
  const calls = marketCalls(contracts);
  const factory = dataStore ?? DEPLOYMENT_PROXY;
  const isPublished = async (contract: DataContract): Promise<boolean> => (await client.code(contract.address)) === contract.code;
  const publication = (contract: DataContract, weights: Uint8Array): Call =>
    dataStore ? storeData(dataStore, bytesToHex(weights)) : { to: DEPLOYMENT_PROXY, data: contract.proxyData };
  return {
    challenger: lane.address,
    factory,
    isPublished,
    async publish(contract, weights) {
      if ((await client.code(factory)) === '0x')
        throw new Error(`there is no contract at ${factory} that could publish weights; set dispute.dataStore to the market's DataStore`);
      const outcome = await lane.send({
        key: `weights:${contract.address}`,
        purpose: 'publish-weights',
        call: publication(contract, weights),
        waitMs: WAIT_MS,
      });
      // Somebody else may have published the same bytes in the meantime.
      if (await isPublished(contract)) return;
      throw new Error(`the weights are not published yet: ${whyOf(outcome)}`);
    },
    async challenge(key, accusation) {
      return plain(
        await lane.send({ key, purpose: 'challenge', call: calls.challenge(caseOf(accusation, lane.address)), waitMs: WAIT_MS }),
      );
    },
    isUpheld: async (digest) => (await views.verdict(digest)) === 'upheld',
  };
};

const caseOf = ({ envelope, receiptDigest, descriptor, consent, program, weightsAt, payload }: Accusation, challenger: Hex) => ({
  receipt: envelope.receipt,
  receiptSig: envelope.signature,
  grant: { versionId: envelope.grant.versionId, signer: envelope.grant.signer, notAfter: envelope.grant.notAfter },
  grantSig: envelope.grant.signature,
  descriptor,
  consent: { receipt: receiptDigest, challenger, notAfter: consent.notAfter },
  consentSig: consent.signature,
  evidence: executionEvidence(bytesToHex(program), weightsAt, payload.salt, payload.input),
});

const plain = (outcome: Outcome): ChallengeOutcome => {
  switch (outcome.kind) {
    case 'mined':
      return { kind: 'mined', hash: outcome.hash };
    case 'reverted':
      return { kind: 'refused', simulated: outcome.simulated, error: outcome.error.name, message: outcome.error.message };
    case 'pending':
    case 'unknown':
      return { kind: 'open', message: whyOf(outcome) };
  }
};

const whyOf = (outcome: Outcome): string => {
  switch (outcome.kind) {
    case 'mined':
      return `mined in ${outcome.hash}`;
    case 'reverted':
      return outcome.error.message;
    case 'pending':
      return `the transaction ${outcome.hash} is in no block yet`;
    case 'unknown':
      return outcome.message;
  }
};

/** A version's terms from the registry itself; undefined: there is no such version. */
export const askVersion =
  (views: MarketViews) =>
  async (versionId: Hex): Promise<VersionFacts | undefined> => {
    const { modelId, manifestHash, verificationRoot, mode, arbiter } = await views.version(versionId);
    if (/^0x0*$/.test(modelId)) return undefined;
    const { owner } = await views.model(modelId);
    return { modelId, owner, manifestSha256: manifestHash.slice(2), verificationRoot, mode, arbiter };
  };
