import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Metrics } from './metrics.ts';

/** undefined: fine. A sentence: what is wrong. May throw, which counts as wrong. */
export type HealthCheck = () => string | undefined | Promise<string | undefined>;

export interface HealthOptions {
  /** 0: a free port. */
  readonly port: number;
  readonly metrics: Pick<Metrics, 'render' | 'contentType'>;
  /** By name; /readyz lists those that fail. */
  readonly checks: Readonly<Record<string, HealthCheck>>;
}

export interface Health extends AsyncDisposable {
  readonly port: number;
  /** Not ready until this is called with true; on drain call it with false. */
  setReady(ready: boolean): void;
}

const CHECK_TIMEOUT_MS = 2000;

/** /livez (the event loop turns), /readyz (started and every check passes, else 503 with the failing ones), /metrics. */
export const startHealth = async (options: HealthOptions): Promise<Health> => {
  let ready = false;
  const answer = async (path: string): Promise<Answer> => {
    if (path === '/livez') return { status: 200, body: 'ok\n' };
    if (path === '/metrics') return { status: 200, body: await options.metrics.render(), type: options.metrics.contentType };
    if (path !== '/readyz') return { status: 404, body: 'not found; /livez, /readyz and /metrics are here\n' };
    const failures = ready ? await failing(options.checks) : ['started: not ready'];
    return failures.length === 0 ? { status: 200, body: 'ok\n' } : { status: 503, body: `${failures.join('\n')}\n` };
  };
  const server = createServer((request, response) => {
    void handle(request, response, answer);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    setReady(value) {
      ready = value;
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
};

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly type?: string;
}

const handle = async (request: IncomingMessage, response: ServerResponse, answer: (path: string) => Promise<Answer>): Promise<void> => {
  let result: Answer;
  if (request.method !== 'GET' && request.method !== 'HEAD') result = { status: 405, body: 'use GET\n' };
  else {
    result = await answer((request.url ?? '/').split('?')[0]!).catch(() => ({ status: 500, body: 'internal error\n' }));
  }
  response.writeHead(result.status, { 'content-type': result.type ?? 'text/plain; charset=utf-8' });
  response.end(request.method === 'HEAD' ? undefined : result.body);
};

const failing = async (checks: HealthOptions['checks']): Promise<string[]> => {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      const problem = await withTimeout(check);
      return problem === undefined ? [] : [`${name}: ${problem}`];
    }),
  );
  return results.flat();
};

const withTimeout = async (check: HealthCheck): Promise<string | undefined> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${CHECK_TIMEOUT_MS} ms`), CHECK_TIMEOUT_MS);
  });
  try {
    return await Promise.race([Promise.resolve().then(check), late]);
  } catch (error) {
    return error instanceof Error ? error.message : 'the check failed';
  } finally {
    clearTimeout(timer);
  }
};
