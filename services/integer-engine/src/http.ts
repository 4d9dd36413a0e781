import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

import { inferResponse, parseInferRequest } from './infer/request.ts';
import { routeOf } from './infer/route.ts';
import { bodyLimit, modelMetadata, type ModelSpec, serverMetadata } from './infer/tensor-spec.ts';

/** What the server tells about itself; `endpoint` and `code` are bounded sets. */
export interface Meter {
  served(endpoint: string, code: number, seconds: number): void;
  exposition(): Promise<{ contentType: string; body: string }>;
}

export interface EngineDeps {
  readonly spec: ModelSpec;
  /** Runs the model. */
  readonly answer: (input: Uint8Array) => Uint8Array;
  /** False while the process stops: no new requests should come. */
  readonly isReady: () => boolean;
  readonly meter: Meter;
  readonly nowMs: () => number;
  readonly fault: (error: unknown) => void;
}

interface Reply {
  readonly code: number;
  readonly body: string;
  readonly headers?: Record<string, string>;
}

/** The Open Inference Protocol (v2, REST) over one integer model. Errors are `{"error": "field: what is wanted"}`. */
export function createEngineServer(deps: EngineDeps): Server {
  const server = createServer((request, response) => {
    const startedMs = deps.nowMs();
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const route = routeOf(path, deps.spec);
    handle(deps, request, route)
      .catch((error: unknown): Reply => {
        deps.fault(error);
        return failure(500, 'the engine failed; try again');
      })
      .then((reply) => {
        send(request, response, reply);
        deps.meter.served(route.endpoint, reply.code, (deps.nowMs() - startedMs) / 1000);
      })
      .catch(deps.fault);
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  return server;
}

async function handle(deps: EngineDeps, request: IncomingMessage, route: ReturnType<typeof routeOf>): Promise<Reply> {
  const { spec } = deps;
  if (route.endpoint === 'unknown') return failure(404, route.message);
  if (request.method !== route.method && !(request.method === 'HEAD' && route.method === 'GET')) {
    return { ...failure(405, `want ${route.method}`), headers: { allow: route.method } };
  }
  const ready = deps.isReady();
  switch (route.endpoint) {
    case 'server':
      return json(200, serverMetadata);
    case 'live':
      return json(200, { live: true });
    case 'ready':
      return json(ready ? 200 : 503, { ready });
    case 'model':
      return json(200, modelMetadata(spec));
    case 'model-ready':
      return json(ready ? 200 : 503, { name: spec.name, ready });
    case 'metrics': {
      const { contentType, body } = await deps.meter.exposition();
      return { code: 200, body, headers: { 'content-type': contentType } };
    }
    case 'infer':
      return infer(deps, request);
  }
}

async function infer(deps: EngineDeps, request: IncomingMessage): Promise<Reply> {
  const limit = bodyLimit(deps.spec);
  const text = await readBody(request, limit);
  if (text === undefined) return { ...failure(413, `body: want at most ${limit} bytes`), headers: { connection: 'close' } };
  const parsed = parseInferRequest(text, deps.spec);
  if (!parsed.ok) return failure(400, `${parsed.bad.field}: ${parsed.bad.message}`);
  return json(200, inferResponse(deps.spec, parsed.request, deps.answer(parsed.request.input)));
}

/** The body as text, or undefined as soon as it is longer than `limit` bytes. */
async function readBody(request: IncomingMessage, limit: number): Promise<string | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > limit) return undefined;
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError('body: want bytes');
    length += chunk.length;
    if (length > limit) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  if (response.destroyed) return;
  const body = Buffer.from(reply.body);
  response.writeHead(reply.code, { 'content-type': 'application/json', 'content-length': body.length, ...reply.headers });
  response.end(request.method === 'HEAD' ? undefined : body);
  if (reply.code === 413) discard(request);
}

/** Lets a client that is still sending read the answer, then hangs up: unread bytes would turn the answer into a reset. */
function discard(request: IncomingMessage): void {
  request.resume();
  setTimeout(() => request.destroy(), 1000).unref();
}

const json = (code: number, body: unknown): Reply => ({ code, body: JSON.stringify(body) });
const failure = (code: number, error: string): Reply => json(code, { error });
