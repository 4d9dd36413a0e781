import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { Server } from 'node:http';

import { errorBody, refuse, REASONS } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import type { Logger } from '@cupel/protocol/log';
import { encodeJson } from '@cupel/protocol/wire/scalars';
import express from 'express';
import type { ErrorRequestHandler, Express, Request, RequestHandler, Response } from 'express';
import type { z } from 'zod';

import { channelBody, consumerBody, receiptsQuery, voucherBody } from '../management.ts';
import type { Management } from '../management.ts';

/** Whose credential a request carries. */
export type Caller = { readonly kind: 'admin' } | { readonly kind: 'consumer'; readonly consumerId: string };

export interface ManagementOptions {
  readonly management: Management;
  readonly adminToken: string;
  readonly role: 'gateway' | 'edge';
  readonly newId: () => string;
  readonly logger: Logger;
}

/** A longer body is refused unread. */
const BODY_LIMIT = '64kb';

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * The management API: /manage/v1, JSON in and out, OpenAI's error bodies. README.md is its reference. Bodies are closed: an unknown field is
 * refused. Credentials are compared by their hashes, in constant time.
 */
export const managementApi = (options: ManagementOptions): Express => {
  const { management, role } = options;
  const adminHash = sha256(options.adminToken);
  const app = express();
  app.disable('x-powered-by').disable('etag').set('query parser', 'simple').set('case sensitive routing', true);

  const callerOf = (request: Request): Caller | Refusal => {
    const match = /^Bearer ([\x21-\x7e]{1,512})$/.exec(request.get('authorization') ?? '');
    if (!match) return refuse('missing_credentials', 'the management API needs a credential');
    const given = sha256(match[1]!);
    if (timingSafeEqual(given, adminHash)) return { kind: 'admin' };
    const consumer = role === 'gateway' ? management.consumerOf(given.toString('hex')) : undefined;
    return consumer ? { kind: 'consumer', consumerId: consumer.consumerId } : refuse('invalid_api_key', 'the credential is not known here');
  };

  type Handle = (caller: Caller, request: Request) => Promise<Answer | Refusal> | Answer | Refusal;
  const handle =
    (who: 'admin' | 'anyone', run: Handle): RequestHandler =>
    async (request, response) => {
      const caller = callerOf(request);
      if ('reason' in caller) return send(response, caller);
      if (who === 'admin' && caller.kind !== 'admin') return send(response, refuse('forbidden', 'this needs the admin token'));
      send(response, await run(caller, request));
    };

  app.use((_request, response, next) => {
    response.set({ 'x-request-id': options.newId(), 'cache-control': 'no-store' });
    next();
  });
  // Before the body is read: a stranger cannot make us parse.
  app.use('/manage/v1', (request, response, next) => {
    const caller = callerOf(request);
    if ('reason' in caller) send(response, caller);
    else next();
  });
  app.use(express.json({ limit: BODY_LIMIT, strict: true, type: () => true }));

  const serve = (method: 'get' | 'post', path: string, who: 'admin' | 'anyone', run: Handle): void => {
    const route = app.route(`/manage/v1${path}`);
    route[method](handle(who, run));
    route.all((_request, response) => {
      response.set('allow', method.toUpperCase());
      send(response, refuse('method_not_allowed', `${path} takes ${method.toUpperCase()} only`));
    });
  };
  const readers = role === 'gateway' ? 'anyone' : 'admin';
  if (role === 'gateway') {
    serve('post', '/consumers', 'admin', (_c, r) =>
      parsed(consumerBody, r.body, async (body) => created(await management.createConsumer(body))),
    );
    serve('post', '/channels', 'anyone', (c, r) => parsed(channelBody, r.body, (body) => management.register(consumerIdOf(c), body)));
    serve('post', '/vouchers', 'anyone', (c, r) => parsed(voucherBody, r.body, (body) => management.voucher(consumerIdOf(c), body)));
    serve('get', '/balance', 'anyone', (c) => ok(management.balance(consumerIdOf(c))));
  }
  serve('get', '/channels/:id', readers, (c, r) => management.channel(consumerIdOf(c), String(r.params['id'])));
  serve('get', '/receipts', readers, (c, r) => parsed(receiptsQuery, r.query, (query) => ok(management.receipts(consumerIdOf(c), query))));
  serve('get', '/ledger', 'admin', () => ok(management.ledger()));
  serve('post', '/settle', 'admin', async () => ok(await management.settle()));
  app.use((_request, response) => send(response, refuse('not_found', 'there is nothing here')));
  app.use(failures(options.logger));
  return app;
};

interface Answer {
  readonly status: number;
  readonly body: object;
}

const ok = (body: object): Answer => ({ status: 200, body });
const created = (body: object): Answer => ({ status: 201, body });

const consumerIdOf = (caller: Caller): string | null => (caller.kind === 'admin' ? null : caller.consumerId);

const parsed = async <S extends z.ZodType>(
  schema: S,
  input: unknown,
  run: (value: z.output<S>) => Promise<Answer | object | Refusal> | Answer | object | Refusal,
): Promise<Answer | Refusal> => {
  const result = schema.safeParse(input ?? {});
  if (!result.success) {
    const issue = result.error.issues[0]!;
    const param = issue.path.map(String).join('.');
    return refuse('invalid_field', param === '' ? issue.message : `${param}: ${issue.message}`, { param: param === '' ? 'body' : param });
  }
  const value = await run(result.data);
  return isAnswer(value) || isRefusal(value) ? value : ok(value);
};

const isRefusal = (value: object): value is Refusal => 'reason' in value && 'message' in value;
const isAnswer = (value: object): value is Answer => 'status' in value && 'body' in value;

const send = (response: Response, result: Answer | Refusal): void => {
  response.type('json');
  if (!isRefusal(result)) {
    response.status(result.status).send(encodeJson(result.body));
    return;
  }
  if (result.required !== undefined) response.set('x-cupel-required', String(result.required));
  if (result.missing !== undefined) response.set('x-cupel-missing', String(result.missing));
  if (REASONS[result.reason].status === 401) response.set('www-authenticate', 'Bearer');
  response.status(REASONS[result.reason].status).send(encodeJson(errorBody(result)));
};

/** Errors of the body parser are the client's; anything else is ours, and its message stays in the log. */
const failures =
  (logger: Logger): ErrorRequestHandler =>
  (error: unknown, request, response, _next) => {
    const type = typeof error === 'object' && error !== null && 'type' in error ? String(error.type) : '';
    if (type === 'entity.too.large') return send(response, refuse('body_too_large', `the body is larger than ${BODY_LIMIT}`));
    if (type.startsWith('entity.') || type.startsWith('encoding.') || type.startsWith('charset.') || type.startsWith('request.')) {
      return send(response, refuse('malformed_json', 'the body is not JSON'));
    }
    if (error instanceof URIError) return send(response, refuse('not_found', 'there is nothing here'));
    logger.error({ err: error, path: request.path }, 'a management call failed');
    return send(response, refuse('internal', 'something went wrong here'));
  };

/** Listens; disposing waits for requests in progress. */
export const listen = async (app: Express, port: number): Promise<AsyncDisposable & { readonly port: number }> => {
  const server: Server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000, maxHeaderSize: 16_384 }, app);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, resolve);
  });
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      });
    },
  };
};
