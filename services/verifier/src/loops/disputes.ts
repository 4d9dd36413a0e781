import type { Keccak256 } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import type { Logger } from '@cupel/protocol/log';
import { unixSeconds } from '@cupel/protocol/time';
import type { Payload, ReceiptEvent } from '@cupel/protocol/wire/bus';
import type { ReceiptEnvelope } from '@cupel/protocol/wire/receipt';

import { ZERO_ADDRESS, afterChallenge, nextStep } from '../dispute/decide.ts';
import type { ChallengeOutcome, Dispute, Ruling, StoredConsent } from '../dispute/decide.ts';
import { MAX_WEIGHT_BYTES, dataContract } from '../dispute/weights.ts';
import type { DataContract } from '../dispute/weights.ts';
import type { LoadedModel } from '../replay/integer.ts';
import type { VerifierState } from '../state.ts';
import type { OwnModels, Payments, Versions } from './ports.ts';
import { createRetries } from './retries.ts';

export interface Accusation {
  readonly envelope: ReceiptEnvelope;
  readonly receiptDigest: Hex;
  readonly descriptor: ChannelDescriptor;
  readonly consent: StoredConsent;
  readonly program: Uint8Array;
  readonly weightsAt: Hex;
  readonly payload: Payload;
}

/** The contracts that rule, reached by the verifier's own key. Throws when the chain cannot be asked. */
export interface Court {
  readonly challenger: Hex;
  /** Where data contracts are made: the factory of their addresses. */
  readonly factory: Hex;
  isPublished(contract: DataContract): Promise<boolean>;
  /** Once, also after a crash; returns when it stands, throws with the remedy when it does not. */
  publish(contract: DataContract, weights: Uint8Array): Promise<void>;
  /** Simulated before it is sent; one transaction per key, also after a crash. */
  challenge(key: string, accusation: Accusation): Promise<ChallengeOutcome>;
  isUpheld(digest: Hex): Promise<boolean>;
}

export interface DisputesDeps {
  readonly state: VerifierState;
  readonly versions: Versions;
  readonly models: OwnModels;
  readonly payments: Payments;
  readonly court: Court;
  readonly keccak: Keccak256;
  readonly enabled: boolean;
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly onRuling: (state: Ruling['state']) => void;
}

/** Brings proved lies to court, all at once: the evidence window runs. `run` starts what is due and returns. */
export const createDisputes = (deps: DisputesDeps) => {
  const { state, court, nowMs, logger } = deps;
  const busy = new Set<Hex>();
  const retries = createRetries(nowMs);
  const publishing = new Map<Hex, Promise<void>>();
  const published = new Set<Hex>();
  const prepared = new Set<Hex>();

  const contractOf = (loaded: LoadedModel): DataContract => dataContract(deps.keccak, court.factory, loaded.weights);

  const publish = async (loaded: LoadedModel): Promise<void> => {
    const contract = contractOf(loaded);
    if (published.has(contract.address)) return;
    const work = async (): Promise<void> => {
      if (!(await court.isPublished(contract))) await court.publish(contract, loaded.weights);
      published.add(contract.address);
    };
    const running = publishing.get(contract.address) ?? work().finally(() => publishing.delete(contract.address));
    publishing.set(contract.address, running);
    return running;
  };

  const integerModel = async (event: ReceiptEvent): Promise<LoadedModel | undefined> => {
    const version = await deps.versions.of(event.envelope.receipt.versionId, event.modelId);
    const own = version && deps.models.get(version.manifestSha256);
    if (own?.kind !== 'integer' || version?.mode !== 'IntegerExecution' || version.arbiter === ZERO_ADDRESS) return undefined;
    return own.loaded.weights.length <= MAX_WEIGHT_BYTES ? own.loaded : undefined;
  };

  const settle = (dispute: Dispute, ruling: Ruling): void => {
    const { digest } = dispute;
    const spent = ruling.state === 'due' && ruling.spent;
    state.putRuling(digest, ruling.state, spent, ruling.message, 'tx' in ruling ? ruling.tx : undefined, nowMs());
    if (ruling.state === 'due' && ruling.renewConsent) state.putConsent(digest, undefined);
    deps.onRuling(ruling.state);
    const about = { receiptDigest: digest, ruling: ruling.state, tx: 'tx' in ruling ? ruling.tx : undefined };
    if (ruling.state === 'upheld') logger.info(about, `a lie was punished: ${ruling.message}`);
    else if (ruling.state === 'falseAccusation')
      logger.error(about, `we accused an answer that is right, which must never happen: ${ruling.message}`);
    else logger.warn(about, `a challenge did not come through: ${ruling.message}`);
  };

  const fail = (dispute: Dispute, message: string): void => settle(dispute, { state: 'failed', message });

  /** One step; false: there is nothing to do for now. */
  const step = async (dispute: Dispute, event: ReceiptEvent, loaded: LoadedModel): Promise<boolean> => {
    const { digest } = dispute;
    const { requestId } = event.envelope.receipt;
    const contract = contractOf(loaded);
    switch (nextStep(dispute, { published: published.has(contract.address), nowSeconds: unixSeconds(nowMs()) })) {
      case 'rest':
        return false;
      case 'publish':
        await publish(loaded);
        return true;
      case 'consent': {
        const { notAfter, signature } = await deps.payments.consent(digest, requestId, court.challenger);
        state.putConsent(digest, { notAfter, signature });
        return true;
      }
      case 'challenge': {
        const payload = await deps.payments.payload(requestId);
        if (!payload || !dispute.consent) {
          fail(dispute, 'the payload is gone: there is no evidence to show');
          return false;
        }
        const accusation = {
          envelope: event.envelope,
          receiptDigest: digest,
          descriptor: event.descriptor,
          consent: dispute.consent,
          program: loaded.program,
          weightsAt: contract.address,
          payload,
        };
        const outcome = await court.challenge(`challenge:${digest}:${dispute.failures}`, accusation);
        const upheld = outcome.kind === 'mined' || (await court.isUpheld(digest));
        const ruling = afterChallenge(dispute, outcome, upheld);
        settle(dispute, ruling);
        if (ruling.state === 'due') retries.failed(digest);
        return false;
      }
    }
  };

  const work = async (digest: Hex): Promise<void> => {
    try {
      const event = state.event(digest);
      const loaded = event && (await integerModel(event));
      for (;;) {
        const dispute = state.dispute(digest);
        if (!dispute) return;
        if (!event || !loaded) return fail(dispute, 'the model of the receipt is not configured any more');
        if (!(await step(dispute, event, loaded))) return;
      }
    } catch (err) {
      const tries = retries.failed(digest);
      logger.warn({ err, receiptDigest: digest, tries }, 'a dispute could not go on; it is tried again');
    } finally {
      busy.delete(digest);
    }
  };

  return {
    /** Publishes the weights at the first receipt of a version: a later challenge then takes one block, however short the evidence window. */
    prepare(event: ReceiptEvent): void {
      const { versionId } = event.envelope.receipt;
      if (!deps.enabled || prepared.has(versionId)) return;
      prepared.add(versionId);
      integerModel(event)
        .then((loaded) => loaded && publish(loaded))
        .catch((err: unknown) => {
          prepared.delete(versionId);
          logger.warn({ err, versionId }, 'weights could not be published yet; they are with the next receipt or dispute');
        });
    },
    async run(): Promise<void> {
      if (!deps.enabled) return;
      for (const { digest } of state.dueDisputes()) {
        if (busy.has(digest) || !retries.isDue(digest)) continue;
        busy.add(digest);
        void work(digest);
      }
    },
  };
};
