import type { Logger } from '@cupel/protocol/log';
import { isReason, refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import type { OutgoingValue } from '@cupel/protocol/wire/bus';
import { encodeJson } from '@cupel/protocol/wire/scalars';

import { fetchWhole } from '../stream/exchange.ts';
import type { Upstream } from '../stream/exchange.ts';
import { addressOf } from '../stream/address.ts';
import { errorOf } from '../stream/error-answer.ts';

const OPEN_TIMEOUT_MS = 10_000;
const KNOCK_TIMEOUT_MS = 3_000;
const MOST_BYTES = 16_384;
const MOST_ENDPOINTS = 10_000;

/** The edge's view of the chain may lag behind the gateway's: these pass by waiting. */
const WAITING = new Set(['channel_not_final', 'no_channel']);
const WAITS_MS = [250, 500, 1000, 1000, 1500, 2000, 2000, 3000];

/** Sessions that edges have accepted. */
export class Sessions {
  readonly #upstream: Upstream;
  readonly #sleep: (ms: number) => Promise<void>;
  readonly #logger: Logger;
  readonly #reached = new Set<string>();
  readonly #open = new Map<string, Promise<Refusal | undefined>>();

  constructor(deps: { readonly upstream: Upstream; readonly sleep: (ms: number) => Promise<void>; readonly logger: Logger }) {
    this.#upstream = deps.upstream;
    this.#sleep = deps.sleep;
    this.#logger = deps.logger;
  }

  /**
   * Knocks at an endpoint that was never reached before: no channel is opened, and no money bound, for one that is not there or may not be
   * dialled. Any HTTP answer will do. Throws UpstreamError.
   */
  async reach(endpoint: string): Promise<void> {
    if (this.#reached.has(endpoint)) return;
    const { origin, base } = addressOf(endpoint);
    const timeouts = { headersTimeoutMs: KNOCK_TIMEOUT_MS, idleTimeoutMs: KNOCK_TIMEOUT_MS };
    await fetchWhole(this.#upstream, { origin, path: `${base}/cupel/v1/sessions`, method: 'GET', headers: {}, ...timeouts }, MOST_BYTES);
    if (this.#reached.size >= MOST_ENDPOINTS) this.#reached.clear();
    this.#reached.add(endpoint);
  }

  /** undefined: the edge has accepted it. Throws UpstreamError. */
  async ensure(endpoint: string, value: OutgoingValue): Promise<Refusal | undefined> {
    const key = `${endpoint} ${value.channelId} ${value.session.keyHash}`;
    let opening = this.#open.get(key);
    if (!opening) this.#open.set(key, (opening = this.#agree(endpoint, value)));
    try {
      const refusal = await opening;
      if (refusal) this.#open.delete(key);
      return refusal;
    } catch (error) {
      this.#open.delete(key);
      throw error;
    }
  }

  /** The edge was started anew, or forgot. */
  forget(endpoint: string, value: OutgoingValue): void {
    this.#open.delete(`${endpoint} ${value.channelId} ${value.session.keyHash}`);
  }

  async #agree(endpoint: string, value: OutgoingValue): Promise<Refusal | undefined> {
    const { key, keyHash, maxUnpaid, notAfter, signature } = value.session;
    const body = Buffer.from(
      encodeJson({ descriptor: value.descriptor, session: { channelId: value.channelId, keyHash, maxUnpaid, notAfter }, signature, key }),
    );
    const { origin, base } = addressOf(endpoint);
    for (let tries = 0; ; tries++) {
      const answer = await fetchWhole(
        this.#upstream,
        {
          origin,
          path: `${base}/cupel/v1/sessions`,
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body,
          headersTimeoutMs: OPEN_TIMEOUT_MS,
          idleTimeoutMs: OPEN_TIMEOUT_MS,
        },
        MOST_BYTES,
      );
      if (answer.status === 200) return undefined;
      const error = errorOf(answer.status, answer.body);
      const wait = WAITS_MS[tries];
      if (wait === undefined || !WAITING.has(error.code)) {
        this.#logger.warn({ endpoint, status: answer.status, code: error.code }, 'an edge refused a session');
        return refuse('no_provider', `the provider refused a session (${isReason(error.code) ? error.code : `status ${answer.status}`})`);
      }
      await this.#sleep(wait);
    }
  }
}
