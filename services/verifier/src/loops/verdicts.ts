import type { Hex } from '@cupel/protocol/hex';
import type { Logger } from '@cupel/protocol/log';
import type { ReceiptEvent } from '@cupel/protocol/wire/bus';

import { accusation } from '../dispute/decide.ts';
import type { VersionFacts } from '../judge/evidence.ts';
import { judged } from '../judge/verdict.ts';
import type { Judgement } from '../judge/verdict.ts';
import type { VerifierState } from '../state.ts';
import type { Judge, Opinion } from './judge.ts';
import { EngineAway } from './ports.ts';
import type { OwnModels, Versions } from './ports.ts';
import { createRetries } from './retries.ts';

export interface VerdictsDeps {
  readonly state: VerifierState;
  readonly versions: Versions;
  readonly models: OwnModels;
  readonly judge: Judge;
  readonly disputesEnabled: boolean;
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly onVerdict: (kind: Kind, judgement: Judgement) => void;
  /** A dispute was opened, or a place became free. */
  readonly wake: () => void;
}

export type Kind = 'integer' | 'chat';

/** Recomputing takes no time, a chat takes the engine: neither waits for the other. */
const PLACES: Readonly<Record<Kind, number>> = { integer: 8, chat: 1 };
const LOOK_AHEAD = 500;
/** An engine that is away so often, some ten minutes, gives up the receipt. */
const MOST_ENGINE_TRIES = 15;

interface Case {
  readonly event: ReceiptEvent;
  readonly version: VersionFacts | undefined;
  readonly kind: Kind;
}

/** Judges what was drawn, each receipt once. `run` starts what has a place and returns; verdicts come in the background. */
export const createVerdicts = (deps: VerdictsDeps) => {
  const { state, nowMs, logger } = deps;
  const cases = new Map<Hex, Case>();
  const busy = new Map<Hex, Kind>();
  const retries = createRetries(nowMs);

  const caseOf = async (digest: Hex, modelId: Hex): Promise<Case | undefined> => {
    const known = cases.get(digest);
    if (known) return known;
    const event = state.event(digest);
    if (!event) {
      put(digest, modelId, undefined, { judgement: judged('unverifiable', 'the receipt is no longer held') }, 'chat');
      return undefined;
    }
    const version = await deps.versions.of(event.envelope.receipt.versionId, event.modelId);
    const found: Case = { event, version, kind: version?.mode === 'IntegerExecution' ? 'integer' : 'chat' };
    cases.set(digest, found);
    return found;
  };

  const put = (digest: Hex, modelId: Hex, version: VersionFacts | undefined, { judgement, sequence }: Opinion, kind: Kind): void => {
    const own = version && deps.models.get(version.manifestSha256);
    const bytes = own?.kind === 'integer' ? own.loaded.weights.length : 0;
    const court = version ? accusation(judgement.verdict, version, bytes, deps.disputesEnabled) : undefined;
    const row = { ...judgement, digest, modelId, atMs: nowMs(), sequence, accuse: court?.accuse === true };
    cases.delete(digest);
    retries.done(digest);
    if (!state.putVerdict(row)) return;
    deps.onVerdict(kind, judgement);
    const about = { receiptDigest: digest, modelId, verdict: judgement.verdict, reason: judgement.reason };
    if (judgement.verdict === 'pass') return logger.debug(about, 'an answer was checked');
    logger.warn({ ...about, ...(court?.accuse === false && { notDisputed: court.why }) }, 'an answer did not pass');
  };

  const work = async (digest: Hex, { event, version, kind }: Case): Promise<void> => {
    try {
      const opinion = version
        ? await deps.judge(event, version)
        : { judgement: judged('unverifiable', 'the registry does not know the version') };
      put(digest, event.modelId, version, opinion, kind);
    } catch (err) {
      const tries = retries.failed(digest);
      if (err instanceof EngineAway && tries >= MOST_ENGINE_TRIES) {
        put(digest, event.modelId, version, { judgement: judged('unverifiable', 'our own engine gave no answer') }, kind);
      } else if (tries === 1 || tries % 10 === 0)
        logger.warn({ err, receiptDigest: digest, tries }, 'an answer could not be checked yet; it is tried again');
    } finally {
      busy.delete(digest);
      deps.wake();
    }
  };

  const hasPlace = (kind: Kind): boolean => [...busy.values()].filter((k) => k === kind).length < PLACES[kind];

  return {
    async run(): Promise<void> {
      for (const { digest, modelId } of state.pendingVerdicts(LOOK_AHEAD)) {
        if (busy.has(digest) || !retries.isDue(digest)) continue;
        const found = await caseOf(digest, modelId);
        if (!found || !hasPlace(found.kind)) continue;
        busy.set(digest, found.kind);
        void work(digest, found);
      }
    },
  };
};
