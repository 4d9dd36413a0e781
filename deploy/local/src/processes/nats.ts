import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toolBinary } from '../tools.ts';
import { type Child, freePorts, startChild, waitUntil } from './child.ts';
import { scratchFolder } from './scratch.ts';

export interface NatsOptions {
  /** Further configuration text (users, accounts, limits). Listening addresses and the store are ours. Empty: anyone may do anything. */
  readonly config?: string;
  /** Absent: a temporary folder, removed by `stop`. */
  readonly storeDir?: string;
  /** Client port; absent: a free one. A restart keeps it. */
  readonly port?: number;
}

export interface Nats extends AsyncDisposable {
  /** `nats://127.0.0.1:<port>` */
  readonly url: string;
  /** Base of the monitoring endpoints, for instance `/jsz`. */
  readonly monitorUrl: string;
  readonly storeDir: string;
  stop(): Promise<void>;
  /** SIGKILL. Start again with `restart`. */
  kill(): Promise<void>;
  /** Starts again on the same port; the streams are kept unless `wipe` is true. */
  restart(options?: { wipe?: boolean }): Promise<void>;
}

/**
 * Starts a NATS server with JetStream on loopback and waits until it is healthy. Builds the server first if the cache lacks it.
 * @throws with the end of the server's log when it is not healthy within 20 s.
 */
export async function startNats(options: NatsOptions = {}): Promise<Nats> {
  const binary = await toolBinary('nats-server');
  const folder = await scratchFolder('nats');
  const storeDir = options.storeDir ?? join(folder, 'store');
  const [freeClient, monitorPort] = await freePorts(2);
  const port = options.port ?? freeClient ?? 0;
  const configPath = join(folder, 'nats.conf');
  const monitorUrl = `http://127.0.0.1:${monitorPort}`;
  await writeFile(configPath, natsConfig({ port, monitorPort: monitorPort ?? 0, storeDir, extra: options.config ?? '' }), {
    mode: 0o600,
  });
  const start = async (): Promise<Child> => {
    const child = await startChild({
      name: 'nats-server',
      command: binary,
      args: ['--config', configPath],
      logPath: join(folder, 'nats.log'),
    });
    try {
      await waitUntil(
        child,
        'healthy',
        20_000,
        async () => (await fetch(`${monitorUrl}/healthz`, { signal: AbortSignal.timeout(1000) })).ok,
      );
    } catch (error) {
      await child.kill();
      throw error;
    }
    return child;
  };
  let child: Child;
  try {
    child = await start();
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  const stop = async (): Promise<void> => {
    await child.stop();
    await rm(folder, { recursive: true, force: true });
  };
  return {
    url: `nats://127.0.0.1:${port}`,
    monitorUrl,
    storeDir,
    stop,
    kill: () => child.kill(),
    restart: async ({ wipe = false } = {}) => {
      await child.stop();
      if (wipe) await rm(storeDir, { recursive: true, force: true });
      child = await start();
    },
    [Symbol.asyncDispose]: stop,
  };
}

/** Configuration file of the server: ours first, the caller's text after it. */
export function natsConfig(fixed: { port: number; monitorPort: number; storeDir: string; extra: string }): string {
  return [
    `listen: "127.0.0.1:${fixed.port}"`,
    `http: "127.0.0.1:${fixed.monitorPort}"`,
    `jetstream { store_dir: ${JSON.stringify(fixed.storeDir)}, max_memory_store: 64MB, max_file_store: 1GB }`,
    fixed.extra,
    '',
  ].join('\n');
}
