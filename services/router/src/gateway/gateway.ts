import { inputHash as tensorInputHash, outputHash as tensorOutputHash } from '@cupel/integer/tensor';
import { hexToBytes } from '@cupel/protocol/hex';
import { saltedHash } from '@cupel/protocol/ids';
import { MICRO_PER_BASE } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import { bytes32 } from '@cupel/protocol/wire/scalars';

import { fixedParams, parseChatRequest } from '../admit/chat-request.ts';
import type { Headers } from '../admit/credentials.ts';
import { Concurrency } from '../admit/concurrency.ts';
import { chatBound, integerBound, mostPrice } from '../admit/hold.ts';
import { inferInput, inferOutput } from '../admit/infer-request.ts';
import type { LeaseBook } from '../admit/leases.ts';
import { isRefusal } from '../admit/refusals.ts';
import { candidateKey, candidatesOf } from '../choose/candidates.ts';
import type { Candidate, ModelKind, WantedModel } from '../choose/candidates.ts';
import { Charger } from '../meter/charger.ts';
import type { RequestOutcome } from '../meter/observer.ts';
import type { Exchange } from '../stream/exchange.ts';
import { sendJson, sendRefusal } from '../stream/respond.ts';
import { duplicateKey } from '../stream/splice.ts';
import { attempt } from './attempt.ts';
import { Authenticator } from './authenticator.ts';
import type { Tenant } from './authenticator.ts';
import type { GatewayDeps, GatewayOptions } from './deps.ts';
import type { Job } from './job.ts';
import type { AttemptContext } from './outcome.ts';
import { OutgoingBook } from './outgoing.ts';
import { Ranking } from './ranking.ts';
import { Sessions } from './sessions.ts';

/** A request after parsing, before money. */
type Parsed = Omit<Job, 'reply' | 'tenant' | 'hold' | 'publicName'> & { readonly model: string };

/** Providers asked for one request, the same one twice included. */
const MOST_ATTEMPTS = 3;

/** The ledger counts in 128 bits. */
const MOST_PRICE = (1n << 100n) - 1n;

/** The door for consumers: authenticates, reserves, chooses, relays, verifies, charges. design.md, "One request". */
export class Gateway {
  readonly #deps: GatewayDeps;
  readonly #options: GatewayOptions;
  readonly #leases: LeaseBook;
  readonly #authenticator: Authenticator;
  readonly #concurrency: Concurrency;
  readonly #ranking: Ranking;
  readonly #context: AttemptContext;

  constructor(deps: GatewayDeps, leases: LeaseBook, options: GatewayOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#leases = leases;
    this.#authenticator = new Authenticator(deps);
    this.#concurrency = new Concurrency(options.concurrency);
    this.#ranking = new Ranking(deps);
    this.#context = {
      deps,
      options,
      outgoing: new OutgoingBook(deps.payments, deps.clock),
      sessions: new Sessions(deps),
      charger: new Charger({ charge: (request) => deps.payments.charge(request), leases, sleep: deps.sleep, logger: deps.logger }),
      observeLatency: (candidate, ms) => this.#ranking.observe(candidate, ms),
    };
  }

  chat(exchange: Exchange): Promise<void> {
    return this.#serve(exchange, 'chat', (body) => {
      const request = parseChatRequest(body);
      if (isRefusal(request)) return request;
      const twice = duplicateKey(body);
      if (twice !== undefined) return refuse('invalid_field', `"${twice}" stands twice in the body`, { param: twice });
      return {
        kind: 'chat',
        model: request.model,
        stream: request.stream,
        path: '/v1/chat/completions',
        body,
        bound: chatBound(body.length, request),
        params: fixedParams(request),
        input: body,
        inputHash: (salt) => saltedHash(this.#deps.keccak, salt, body),
        output: (salt, answer) => ({ hash: saltedHash(this.#deps.keccak, salt, answer), bytes: answer }),
      };
    });
  }

  infer(exchange: Exchange, model: string): Promise<void> {
    return this.#serve(exchange, 'integer', (body) => {
      const input = inferInput(body);
      if (isRefusal(input)) return input;
      return {
        kind: 'integer',
        model,
        stream: false,
        path: `/v2/models/${encodeURIComponent(model)}/infer`,
        body,
        bound: integerBound(input.length),
        params: {},
        input,
        inputHash: (salt) => tensorInputHash(hexToBytes(salt, 32), input),
        output: (_salt, answer) => {
          const bytes = inferOutput(answer);
          return bytes && { hash: tensorOutputHash(bytes), bytes };
        },
      };
    });
  }

  /** Public names that an active provider serves; `undefined` when this gateway does not know the name at all. */
  models(): { readonly name: string; readonly kind: ModelKind; readonly since: number }[] {
    return Object.entries(this.#options.models).flatMap(([name, wanted]) => {
      const found = this.#candidates(wanted);
      return found.length === 0 ? [] : [{ name, kind: wanted.kind, since: Math.min(...found.map((c) => c.registeredAtBlock)) }];
    });
  }

  #candidates(wanted: WantedModel): Candidate[] {
    const { market } = this.#deps;
    return candidatesOf(market.registry(), wanted, (modelId) => market.stake(modelId), this.#options.leastStake);
  }

  model(name: string): WantedModel | undefined {
    return Object.hasOwn(this.#options.models, name) ? this.#options.models[name] : undefined;
  }

  /** Refuses a wrong credential; none at all is fine for what stands on the public chain anyway. */
  async mayList(headers: Headers): Promise<Refusal | undefined> {
    if (headers['authorization'] === undefined) return undefined;
    const tenant = await this.#authenticator.authenticate(headers);
    return isRefusal(tenant) && tenant.reason !== 'no_channel' ? tenant : undefined;
  }

  /** GET /v1/receipts/{id}: the envelope, for whoever paid. */
  async receipt(exchange: Exchange, id: string): Promise<void> {
    const requestId = bytes32.safeParse(id);
    if (!requestId.success)
      return sendRefusal(exchange.reply, refuse('invalid_field', 'a receipt id is 0x and 64 hex digits', { param: 'id' }));
    const found = await this.#asTenant(exchange.headers, (tenant) =>
      this.#deps.payments.receipt({
        requestId: requestId.data,
        ...(tenant.consumerId === undefined ? { channelId: tenant.channelId } : { consumerId: tenant.consumerId }),
      }),
    );
    if (isRefusal(found)) sendRefusal(exchange.reply, found);
    else sendJson(exchange.reply, 200, { ...found.envelope, charged: found.charged });
  }

  get inFlight(): number {
    return this.#concurrency.inFlight;
  }

  async #asTenant<T>(headers: Headers, then: (tenant: Tenant) => Promise<T | Refusal>): Promise<T | Refusal> {
    try {
      const tenant = await this.#authenticator.authenticate(headers);
      return isRefusal(tenant) ? tenant : await then(tenant);
    } catch (err) {
      this.#deps.logger.warn({ err }, 'the payment service did not answer');
      return refuse('ledger_unavailable', 'the payment service did not answer');
    }
  }

  async #serve(exchange: Exchange, kind: ModelKind, parse: (body: Uint8Array) => Parsed | Refusal): Promise<void> {
    const { reply } = exchange;
    const outcome = await this.#asTenant<RequestOutcome>(exchange.headers, async (tenant) => {
      const leave = this.#concurrency.enter(tenant.id);
      if (isRefusal(leave)) return leave;
      this.#deps.observer.inFlight(this.#concurrency.inFlight);
      try {
        const body = await exchange.body();
        if (isRefusal(body)) return body;
        const parsed = parse(body);
        return isRefusal(parsed) ? parsed : await this.#answer(exchange, kind, tenant, parsed);
      } finally {
        leave();
        this.#deps.observer.inFlight(this.#concurrency.inFlight);
      }
    });
    if (!isRefusal(outcome)) return this.#deps.observer.request(kind, outcome);
    if (!reply.left.aborted) sendRefusal(reply, outcome);
    this.#deps.observer.request(kind, reply.left.aborted ? 'client_left' : outcome.reason);
  }

  async #answer(exchange: Exchange, kind: ModelKind, tenant: Tenant, parsed: Parsed): Promise<RequestOutcome | Refusal> {
    const wanted = this.model(parsed.model);
    if (!wanted)
      return refuse('model_not_found', `The model '${parsed.model}' does not exist or you do not have access to it`, { param: 'model' });
    if (wanted.kind !== kind) return refuse('wrong_protocol', `"${parsed.model}" is ${article(wanted.kind)} model`, { param: 'model' });
    const candidates = this.#payable(wanted, parsed);
    if (candidates.length === 0) return refuse('no_provider', `no provider of "${parsed.model}" is active`);
    return this.#attempts({ ...parsed, publicName: parsed.model, tenant, reply: exchange.reply }, candidates);
  }

  /** A price list is a stranger's word: one that overflows, or passes the configured limit, is not asked. */
  #payable(wanted: WantedModel, parsed: Parsed): Candidate[] {
    const limit = this.#options.maxPriceMicro ?? MOST_PRICE;
    const { inputUnits, outputUnits } = parsed.bound;
    return this.#candidates(wanted).filter(
      ({ prices: p }) => inputUnits * p.inputPerMillion + outputUnits * p.outputPerMillion + p.perRequest * MICRO_PER_BASE <= limit,
    );
  }

  /**
   * The client's money is reserved for the picked provider alone: one that asks absurd prices must not make requests unaffordable that
   * others would serve.
   */
  async #attempts(request: Omit<Job, 'hold'>, candidates: readonly Candidate[]): Promise<RequestOutcome | Refusal> {
    let left = [...candidates];
    const again: Candidate[] = [];
    let refusal: Refusal | undefined;
    let tries = 0;
    while (tries < MOST_ATTEMPTS) {
      if (request.reply.left.aborted) return 'client_left';
      if (left.length === 0) left = again.splice(0);
      const picked = this.#ranking.pick(request, left);
      if (!picked) break;
      left = left.filter((c) => candidateKey(c) !== candidateKey(picked));
      const hold = await this.#leases.hold(request.tenant.channelId, mostPrice(picked.prices, request.bound));
      if (isRefusal(hold)) {
        this.#authenticator.forget(request.tenant.channelId);
        refusal ??= hold;
        // Who cannot pay this one may still pay a cheaper one.
        left = left.filter((c) => mostPrice(c.prices, request.bound) < mostPrice(picked.prices, request.bound));
        continue;
      }
      tries += 1;
      const result = await this.#ranking
        .busy(picked, () => attempt(this.#context, { ...request, hold }, picked))
        .finally(() => hold.cancel());
      if (result.kind === 'done') return result.outcome;
      refusal = result.refusal;
      if (result.kind === 'refused') break;
      if (result.transient) again.push(picked);
    }
    return refusal ?? refuse('no_provider', `no provider of "${request.publicName}" is healthy`);
  }
}

const article = (kind: ModelKind): string => (kind === 'chat' ? 'a chat' : 'an integer');
