import { inputHash as tensorInputHash, outputHash as tensorOutputHash } from '@cupel/integer/tensor';
import { hexToBytes } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import { saltedHash } from '@cupel/protocol/ids';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import type { Engine } from '@cupel/protocol/wire/bus';
import { sessionOpen } from '@cupel/protocol/wire/receipt';

import { parseChatRequest, parseJsonObject } from '../admit/chat-request.ts';
import { Concurrency } from '../admit/concurrency.ts';
import { chatBound, integerBound, mostPrice } from '../admit/hold.ts';
import type { UnitBound } from '../admit/hold.ts';
import { inferInput, inferOutput } from '../admit/infer-request.ts';
import type { LeaseBook } from '../admit/leases.ts';
import { isRefusal } from '../admit/refusals.ts';
import { remoteOf } from '../admit/remote.ts';
import { ZERO_HASH } from '../admit/session-mac.ts';
import type { ModelKind } from '../choose/candidates.ts';
import { Charger } from '../meter/charger.ts';
import type { RequestOutcome } from '../meter/observer.ts';
import { encodeEnvelope } from '../meter/receipt-header.ts';
import type { Exchange } from '../stream/exchange.ts';
import { sendJson, sendRefusal } from '../stream/respond.ts';
import { duplicateKey } from '../stream/splice.ts';
import { Admission } from './admission.ts';
import type { Caller } from './admission.ts';
import { serveChat } from './chat.ts';
import type { EdgeDeps, EdgeOptions } from './deps.ts';
import { serveInfer } from './infer.ts';
import type { EdgeContext, EdgeJob } from './job.ts';
import { SessionTable } from './session-table.ts';

interface Parsed {
  readonly bound: UnitBound;
  readonly inputHash: Hex;
  serve(context: EdgeContext, job: EdgeJob): Promise<RequestOutcome | Refusal>;
}

/** An authentic, fresh request, with its place. */
interface Admitted {
  readonly caller: Caller;
  readonly engine: Engine;
  readonly body: Uint8Array;
  readonly parsed: Parsed;
  leave(): void;
}

/** How long an asker waits for a request that still runs. */
const LOOKUP_WAIT_MS = 10_000;

/** A provider's door: sessions, admission, the engine, the signed receipt. docs/specs/gateway-edge.md. */
export class Edge {
  readonly #context: EdgeContext;
  readonly #sessions: SessionTable;
  readonly #admission: Admission;
  /** Authentic requests, by channel. */
  readonly #concurrency: Concurrency;
  /** Requests whose sender is not proven yet, by remote address: strangers cannot fill a channel's places, only their own. */
  readonly #arriving: Concurrency;
  readonly #running = new Map<Hex, Promise<unknown>>();

  constructor(deps: EdgeDeps, leases: LeaseBook, options: EdgeOptions) {
    const charger = new Charger({ charge: (request) => deps.payments.charge(request), leases, sleep: deps.sleep, logger: deps.logger });
    this.#context = { deps, options, charger };
    this.#sessions = new SessionTable(deps);
    this.#admission = new Admission(deps, this.#sessions, leases);
    this.#concurrency = new Concurrency(options.concurrency);
    this.#arriving = new Concurrency(options.arriving);
  }

  get inFlight(): number {
    return this.#concurrency.inFlight;
  }

  /** POST /cupel/v1/sessions. */
  async session(exchange: Exchange): Promise<void> {
    const refusal = await this.#guarded(async () => {
      const arrived = this.#arriving.enter(remoteOf(exchange.remoteAddress));
      if (isRefusal(arrived)) return arrived;
      try {
        return await this.#open(exchange);
      } finally {
        arrived();
      }
    });
    if (refusal) sendRefusal(exchange.reply, refusal);
    else sendJson(exchange.reply, 200, { accepted: true });
  }

  async #open(exchange: Exchange): Promise<Refusal | undefined> {
    const body = await exchange.body();
    if (isRefusal(body)) return body;
    const json = parseJsonObject(body);
    if (!json.ok) return json.refusal;
    const parsed = sessionOpen.safeParse(json.value);
    if (parsed.success) return this.#sessions.open(parsed.data);
    const issue = parsed.error.issues[0];
    const param = issue?.path.map(String).join('.') ?? '';
    return refuse('invalid_field', `"${param}": ${issue?.message ?? 'is not valid'}`, { param });
  }

  chat(exchange: Exchange): Promise<void> {
    return this.#serve(exchange, 'chat', (body, salt) => {
      const request = parseChatRequest(body);
      if (isRefusal(request)) return request;
      const twice = duplicateKey(body);
      if (twice !== undefined) return refuse('invalid_field', `"${twice}" stands twice in the body`, { param: twice });
      return {
        bound: chatBound(body.length, request),
        inputHash: saltedHash(this.#context.deps.keccak, salt, body),
        serve: (context, job) => serveChat(context, job, request),
      };
    });
  }

  infer(exchange: Exchange): Promise<void> {
    return this.#serve(exchange, 'integer', (body, salt) => {
      const input = inferInput(body);
      if (isRefusal(input)) return input;
      return {
        bound: integerBound(input.length),
        inputHash: tensorInputHash(hexToBytes(salt, 32), input),
        serve: (context, job) => serveInfer(context, job, input, { output: inferOutput, outputHash: tensorOutputHash }),
      };
    });
  }

  /** GET /cupel/v1/receipts/{requestId}: what was charged; 404: nothing. Waits for a request that still runs. */
  async receipt(exchange: Exchange, id: string): Promise<void> {
    const { deps } = this.#context;
    const found = await this.#guarded(async () => {
      const caller = this.#admission.caller(exchange.headers);
      if (isRefusal(caller)) return caller;
      const refusal = this.#admission.authentic(caller, ZERO_HASH);
      if (refusal) return refusal;
      const { requestId, channelId } = caller.signed;
      if (id.toLowerCase() !== requestId)
        return refuse('invalid_field', 'the path and x-cupel-request-id differ', { param: 'x-cupel-request-id' });
      const running = this.#running.get(requestId);
      if (running) await Promise.race([running, deps.sleep(LOOKUP_WAIT_MS)]);
      return deps.payments.receipt({ requestId, channelId });
    });
    if (isRefusal(found)) sendRefusal(exchange.reply, found);
    else sendJson(exchange.reply, 200, found.envelope, { 'x-cupel-receipt': encodeEnvelope(found.envelope) });
  }

  async #guarded<T>(run: () => Promise<T | Refusal>): Promise<T | Refusal> {
    try {
      return await run();
    } catch (err) {
      this.#context.deps.logger.warn({ err }, 'the payment service did not answer');
      return refuse('ledger_unavailable', 'the payment service did not answer');
    }
  }

  async #serve(exchange: Exchange, kind: ModelKind, parse: (body: Uint8Array, salt: Hex) => Parsed | Refusal): Promise<void> {
    const { observer } = this.#context.deps;
    const outcome = await this.#guarded(async () => {
      const admitted = await this.#admit(exchange, kind, parse);
      if (isRefusal(admitted)) return admitted;
      observer.inFlight(this.#concurrency.inFlight);
      try {
        return await this.#remembered(exchange, admitted);
      } finally {
        admitted.leave();
        observer.inFlight(this.#concurrency.inFlight);
      }
    });
    if (isRefusal(outcome) && !exchange.reply.left.aborted) sendRefusal(exchange.reply, outcome);
    observer.request(kind, exchange.reply.left.aborted ? 'client_left' : isRefusal(outcome) ? outcome.reason : outcome);
  }

  /** Reads a request and proves its sender; only then does it take one of its channel's places, and only then is its id used up. */
  async #admit(exchange: Exchange, kind: ModelKind, parse: (body: Uint8Array, salt: Hex) => Parsed | Refusal): Promise<Admitted | Refusal> {
    const arrived = this.#arriving.enter(remoteOf(exchange.remoteAddress));
    if (isRefusal(arrived)) return arrived;
    try {
      const caller = this.#admission.caller(exchange.headers);
      if (isRefusal(caller)) return caller;
      const body = await exchange.body();
      if (isRefusal(body)) return body;
      const parsed = parse(body, caller.signed.salt);
      if (isRefusal(parsed)) return parsed;
      const engine = this.#admission.engine(caller.signed.versionId, kind);
      if (isRefusal(engine)) return engine;
      const forged = this.#admission.authentic(caller, parsed.inputHash);
      if (forged) return forged;
      const leave = this.#concurrency.enter(caller.session.channelId);
      if (isRefusal(leave)) return leave;
      const replayed = this.#admission.fresh(caller);
      if (!replayed) return { caller, engine, body, parsed, leave };
      leave();
      return replayed;
    } finally {
      arrived();
    }
  }

  async #remembered(exchange: Exchange, admitted: Admitted): Promise<RequestOutcome | Refusal> {
    const { requestId } = admitted.caller.signed;
    const run = this.#run(exchange, admitted);
    this.#running.set(requestId, run);
    try {
      return await run;
    } finally {
      this.#running.delete(requestId);
    }
  }

  async #run(exchange: Exchange, { caller, engine, body, parsed }: Admitted): Promise<RequestOutcome | Refusal> {
    const hold = await this.#admission.pay(caller, mostPrice(engine.prices, parsed.bound));
    if (isRefusal(hold)) return hold;
    try {
      if (exchange.reply.left.aborted) return 'client_left';
      return await parsed.serve(this.#context, { exchange, caller, engine, hold, bound: parsed.bound, body, inputHash: parsed.inputHash });
    } finally {
      // Settled holds ignore this.
      hold.cancel();
    }
  }
}
