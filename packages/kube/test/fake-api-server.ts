import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import type { KubeObject } from '../src/object.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** ConfigMaps over HTTP with lists in pages and watches, and faults on demand. Only for what a real server does not do on demand. */
export interface FakeApiServer extends AsyncDisposable {
  readonly config: KubeConfig;
  readonly port: number;
  /** `METHOD path?query` of every request. */
  readonly requests: string[];
  put(name: string, data?: Record<string, string>): void;
  remove(name: string): void;
  bookmark(): void;
  /** Answers the next requests; a handler that is used up is dropped. */
  next(...handlers: Handler[]): void;
  /** TCP reset of every connection. */
  reset(): void;
  /** Watches stay open, and nothing is sent on them any more. */
  mute(): void;
  /** Forgets history: watches from older versions get 410. */
  compact(): void;
  readonly watches: number;
  readonly headers: IncomingMessage['headers'][];
}

export const answer =
  (status: number, body: unknown, headers: Record<string, string> = {}): Handler =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };

export async function startFakeApiServer(): Promise<FakeApiServer> {
  let version = 10;
  let oldest = 0;
  const objects = new Map<string, KubeObject>();
  let history: { version: number; line: string }[] = [];
  const open = new Set<ServerResponse>();
  const sockets = new Set<Socket>();
  const scripted: Handler[] = [];
  const requests: string[] = [];
  const headers: IncomingMessage['headers'][] = [];

  const publish = (type: string, object: KubeObject): void => {
    const line = `${JSON.stringify({ type, object })}\n`;
    history.push({ version, line });
    for (const response of open) response.write(line);
  };
  const object = (name: string, data: Record<string, string>): KubeObject & { data: Record<string, string> } => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'team', uid: `uid-${name}`, resourceVersion: String(version) },
    data,
  });
  const list = (url: URL, response: ServerResponse): void => {
    const limit = Number(url.searchParams.get('limit') ?? '500');
    const from = Number(url.searchParams.get('continue') ?? '0');
    const items = [...objects.values()];
    const rest = items.length > from + limit ? { continue: String(from + limit) } : {};
    const metadata = { resourceVersion: String(version), ...rest };
    answer(200, { kind: 'ConfigMapList', metadata, items: items.slice(from, from + limit) })({} as IncomingMessage, response, '');
  };
  const watch = (url: URL, response: ServerResponse): void => {
    const since = Number(url.searchParams.get('resourceVersion'));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (since < oldest) {
      response.end(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } })}\n`);
      return;
    }
    for (const { version: at, line } of history) if (at > since) response.write(line);
    open.add(response);
    response.on('close', () => open.delete(response));
  };
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://fake');
      requests.push(`${request.method} ${request.url}`);
      headers.push(request.headers);
      const handler = scripted.shift();
      if (handler !== undefined) handler(request, response, body);
      else if (url.searchParams.get('watch') === 'true') watch(url, response);
      else if (request.method === 'GET' && url.pathname.endsWith('configmaps')) list(url, response);
      else answer(404, { kind: 'Status', code: 404, reason: 'NotFound', message: 'no such object' })(request, response, body);
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'fake', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    { name: 'user', token: 'secret-token' },
  );
  const reset = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    config,
    port,
    requests,
    headers,
    put: (name, data = {}) => {
      version++;
      const type = objects.has(name) ? 'MODIFIED' : 'ADDED';
      const next = object(name, data);
      objects.set(name, next);
      publish(type, next);
    },
    remove: (name) => {
      version++;
      objects.delete(name);
      publish('DELETED', object(name, {}));
    },
    bookmark: () => {
      // Other kinds have moved the version on.
      version++;
      const line = `${JSON.stringify({ type: 'BOOKMARK', object: { kind: 'ConfigMap', metadata: { resourceVersion: String(version) } } })}\n`;
      for (const response of open) response.write(line);
    },
    next: (...handlers) => void scripted.push(...handlers),
    reset,
    mute: () => open.clear(),
    compact: () => {
      oldest = version;
      history = [];
    },
    get watches() {
      return open.size;
    },
    [Symbol.asyncDispose]: async () => {
      reset();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
