import type { Hex } from '@cupel/protocol/hex';
import type { Micro } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import type { Engine } from '@cupel/protocol/wire/bus';

import type { Headers } from '../admit/credentials.ts';
import type { Hold, LeaseBook } from '../admit/leases.ts';
import { isRefusal } from '../admit/refusals.ts';
import { ReplayWindow } from '../admit/replay-window.ts';
import { checkMac, readSignedHeaders } from '../admit/session-mac.ts';
import type { SignedRequest } from '../admit/session-mac.ts';
import type { ModelKind } from '../choose/candidates.ts';
import type { EdgeDeps } from './deps.ts';
import type { EdgeSession, SessionTable } from './session-table.ts';

export interface Caller {
  readonly signed: SignedRequest;
  readonly session: EdgeSession;
}

/** Ids older than this cannot come with a timestamp that still counts. */
const REPLAY_KEEP_MS = 300_000;
const REPLAY_CAPACITY = 200_000;

/** What stands between a gateway's request and an engine. */
export class Admission {
  readonly #deps: EdgeDeps;
  readonly #sessions: SessionTable;
  readonly #leases: LeaseBook;
  readonly #replays = new ReplayWindow({ capacity: REPLAY_CAPACITY, keepMs: REPLAY_KEEP_MS });

  constructor(deps: EdgeDeps, sessions: SessionTable, leases: LeaseBook) {
    this.#deps = deps;
    this.#sessions = sessions;
    this.#leases = leases;
  }

  /** By headers alone, before a byte of the body is read. */
  caller(headers: Headers): Caller | Refusal {
    const nowSeconds = BigInt(Math.floor(this.#deps.clock.nowMs() / 1000));
    const signed = readSignedHeaders(headers, nowSeconds);
    if (isRefusal(signed)) return signed;
    const session = this.#sessions.find(signed.channelId, nowSeconds);
    return isRefusal(session) ? session : { signed, session };
  }

  engine(versionId: Hex, kind: ModelKind): Engine | Refusal {
    const engine = this.#deps.engines().find((e) => e.versionId === versionId && !e.draining);
    if (!engine) return refuse('version_unknown', `no engine here serves the version ${versionId}`);
    if (engine.kind !== kind) return refuse('wrong_protocol', `the version ${versionId} is of kind ${engine.kind}`);
    return engine;
  }

  /** The MAC over the bytes that came. */
  authentic(caller: Caller, inputHash: Hex): Refusal | undefined {
    return checkMac({ hmac: this.#deps.hmac, equal: this.#deps.equalBytes }, caller.session.key, caller.signed, inputHash);
  }

  /** Each id once; only ids whose MAC was right are remembered, so that nobody else can use them up. */
  fresh(caller: Caller): Refusal | undefined {
    return this.#replays.admit(caller.signed.requestId, this.#deps.clock.nowMs())
      ? undefined
      : refuse('request_replayed', `the request ${caller.signed.requestId} was seen before`);
  }

  /** The voucher is in the ledger before the engine is asked; then the price is reserved on the channel. */
  async pay(caller: Caller, most: Micro): Promise<Hold | Refusal> {
    const { signed, session } = caller;
    const refused = signed.voucher && (await this.#sessions.raise(session, signed.voucher));
    return refused ?? this.#leases.hold(session.channelId, most);
  }
}
