import type { Server } from 'node:http';

import { createEngineServer, type EngineDeps } from './http.ts';

export interface Serving extends AsyncDisposable {
  readonly port: number;
  /** From now on /v2/health/ready says 503; requests that still come are served. */
  drain(): void;
}

/** Listens on `port` (0: a free one). Disposing stops listening, lets requests in progress end, and hangs up after `graceMs`. */
export async function serve(deps: Omit<EngineDeps, 'isReady'>, port: number, graceMs = 5000): Promise<Serving> {
  let ready = true;
  const server = createEngineServer({ ...deps, isReady: () => ready });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, resolve);
  });
  return {
    port: portOf(server, port),
    drain() {
      ready = false;
    },
    async [Symbol.asyncDispose]() {
      ready = false;
      const late = setTimeout(() => server.closeAllConnections(), graceMs);
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      });
      clearTimeout(late);
    },
  };
}

function portOf(server: Server, wanted: number): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : wanted;
}
