import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface RpcRequest {
  readonly method: string;
  readonly params: readonly unknown[];
}

/**
 * What happens to one request: `pass`; `lost` (never arrives, the socket breaks); `unanswered` (arrives, but its reply is lost); an error of
 * JSON-RPC; or another result instead of the node's.
 */
export type Fate =
  | 'pass'
  | 'lost'
  | 'unanswered'
  | { readonly error: { readonly code: number; readonly message: string } }
  | { readonly result: unknown };

export interface RpcProxy extends AsyncDisposable {
  readonly url: string;
  /** Decides on every request from now on; default: all pass. */
  rule(decide: (request: RpcRequest) => Fate): void;
  /** Everything that came in. */
  readonly requests: readonly RpcRequest[];
}

/** A faulty JSON-RPC endpoint in front of a real node. */
export const startRpcProxy = async (target: string): Promise<RpcProxy> => {
  const requests: RpcRequest[] = [];
  let decide: (request: RpcRequest) => Fate = () => 'pass';

  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const { id, method, params = [] } = JSON.parse(body) as { id: number; method: string; params?: unknown[] };
    requests.push({ method, params });
    const fate = decide({ method, params });
    if (fate === 'lost') return void incoming.socket.destroy();
    if (typeof fate === 'object') {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ jsonrpc: '2.0', id, ...fate }));
      return;
    }
    const answer = await fetch(target, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    const text = await answer.text();
    if (fate === 'unanswered') return void incoming.socket.destroy();
    response.setHeader('content-type', 'application/json');
    response.end(text);
  };

  const server = createServer((incoming, response) => {
    handle(incoming, response).catch(() => incoming.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the proxy has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    rule(next) {
      decide = next;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
};
