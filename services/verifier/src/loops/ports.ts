import type { Hex } from '@cupel/protocol/hex';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import type { Payload } from '@cupel/protocol/wire/bus';
import type { VersionFacts } from '../judge/evidence.ts';
import type { StoredConsent } from '../dispute/decide.ts';
import type { LoadedModel } from '../replay/integer.ts';

/** The party's payment service. Throws when it cannot be asked: then the question is asked again. */
export interface Payments {
  /** What was asked and answered; undefined: its time is over, or it was never kept. */
  payload(requestId: Hex): Promise<Payload | undefined>;
  /** Leave of the beneficiary to challenge. Throws when it is refused. */
  consent(digest: Hex, requestId: Hex, challenger: Hex): Promise<StoredConsent & { readonly descriptor: ChannelDescriptor }>;
}

/** undefined: the registry has no such version. Throws when it cannot be asked. */
export interface Versions {
  of(versionId: Hex, modelId: Hex): Promise<VersionFacts | undefined>;
}

/** Our engine could not be asked, or failed: it is asked again. */
export class EngineAway extends Error {
  override readonly name = 'EngineAway';
}

/** Our engine does not take the request: asking again is of no use. */
export class EngineRefused extends Error {
  override readonly name = 'EngineRefused';
}

export interface ChatEngine {
  /** POST /v1/chat/completions; the parsed body. Throws {@link EngineAway} or {@link EngineRefused}. */
  complete(body: Readonly<Record<string, unknown>>): Promise<unknown>;
}

export type OwnModel = { readonly kind: 'integer'; readonly loaded: LoadedModel } | { readonly kind: 'chat'; readonly engine: ChatEngine };

/** By manifest sha256. */
export type OwnModels = ReadonlyMap<string, OwnModel>;
