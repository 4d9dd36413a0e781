import type { Hex } from '@cupel/protocol/hex';
import type { AnswerParams } from '@cupel/protocol/wire/receipt';

import type { UnitBound } from '../admit/hold.ts';
import type { Hold } from '../admit/leases.ts';
import type { ModelKind } from '../choose/candidates.ts';
import type { Reply } from '../stream/exchange.ts';
import type { Tenant } from './authenticator.ts';

/** What was delivered, as a receipt hashes it. */
export interface Output {
  readonly hash: Hex;
  readonly bytes: Uint8Array;
}

/** A client's request after admission: what every attempt at a provider needs. */
export interface Job {
  readonly kind: ModelKind;
  readonly publicName: string;
  readonly tenant: Tenant;
  readonly reply: Reply;
  readonly stream: boolean;
  /** Under the endpoint's base path. */
  readonly path: string;
  /** The client's bytes, as they go to the provider. */
  readonly body: Uint8Array;
  readonly bound: UnitBound;
  readonly params: AnswerParams;
  /** Money of the client that is reserved for this request. */
  readonly hold: Hold;
  /** What the ledger keeps, encrypted, for a replay. */
  readonly input: Uint8Array;
  inputHash(salt: Hex): Hex;
  /** undefined: the answer makes no sense. */
  output(salt: Hex, answer: Uint8Array): Output | undefined;
}
