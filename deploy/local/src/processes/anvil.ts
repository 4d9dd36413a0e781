import { readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type Child, freePort, startChild, waitUntil } from './child.ts';
import { scratchFolder } from './scratch.ts';

/** A funded development account. Its key is public knowledge: never use it on a real chain. */
export interface AnvilAccount {
  readonly address: `0x${string}`;
  readonly privateKey: `0x${string}`;
}

export interface AnvilOptions {
  /** Seconds between blocks; absent: a block per transaction. */
  readonly blockTime?: number;
  /** Default 1: `safe` and `finalized` follow `latest` by one and two blocks. */
  readonly slotsInAnEpoch?: number;
  /** Default 31337. */
  readonly chainId?: number;
  /** Absent: a free one. A restart keeps it. */
  readonly port?: number;
  /** Listening address; default 127.0.0.1. */
  readonly host?: string;
  /** File that keeps the chain across restarts; absent: the chain lives in memory only. */
  readonly statePath?: string;
  /** Unix seconds of the genesis block. */
  readonly timestamp?: number;
  /** Number of funded accounts; default 10, each with 10,000 ETH. */
  readonly accounts?: number;
  /** Further command-line arguments, last. */
  readonly extraArgs?: readonly string[];
}

export interface Anvil extends AsyncDisposable {
  readonly rpcUrl: string;
  readonly wsUrl: string;
  readonly chainId: number;
  readonly accounts: readonly AnvilAccount[];
  readonly port: number;
  /** Sends one JSON-RPC request, for instance `anvil_mine` or `evm_increaseTime`; returns `result`, throws on `error`. */
  rpc(method: string, params?: readonly unknown[]): Promise<unknown>;
  stop(): Promise<void>;
  /** SIGKILL. Start again with `restart`. */
  kill(): Promise<void>;
  /** Starts again on the same port; without `statePath` the chain is a new one. */
  restart(): Promise<void>;
}

/** Path of the anvil binary that npm ships for this platform. */
export function anvilBinary(): string {
  const manifest = createRequire(import.meta.url).resolve('@foundry-rs/anvil-linux-amd64/package.json');
  return join(dirname(manifest), 'bin', 'anvil');
}

/**
 * Starts a development chain on loopback and waits until it answers.
 * @throws with the end of anvil's log when it does not answer within 20 s.
 */
export async function startAnvil(options: AnvilOptions = {}): Promise<Anvil> {
  const folder = await scratchFolder('anvil');
  const port = options.port ?? (await freePort());
  const host = options.host ?? '127.0.0.1';
  const chainId = options.chainId ?? 31337;
  const configPath = join(folder, 'anvil.json');
  const rpcUrl = `http://127.0.0.1:${port}`;
  const rpc = (method: string, params: readonly unknown[] = []): Promise<unknown> => call(rpcUrl, method, params);
  const start = async (): Promise<Child> => {
    const child = await startChild({
      name: 'anvil',
      command: anvilBinary(),
      args: anvilArgs(options, { host, port, chainId, configPath }),
      logPath: join(folder, 'anvil.log'),
      cwd: folder,
    });
    try {
      await waitUntil(child, 'answering', 20_000, async () => Number.parseInt(String(await rpc('eth_chainId')), 16) === chainId);
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
  const accounts = parseAccounts(await readFile(configPath, 'utf8'));
  const stop = async (): Promise<void> => {
    await child.stop();
    await rm(folder, { recursive: true, force: true });
  };
  return {
    rpcUrl,
    wsUrl: `ws://127.0.0.1:${port}`,
    chainId,
    accounts,
    port,
    rpc,
    stop,
    kill: () => child.kill(),
    restart: async () => {
      await child.stop();
      child = await start();
    },
    [Symbol.asyncDispose]: stop,
  };
}

/** Command line of anvil. */
export function anvilArgs(options: AnvilOptions, fixed: { host: string; port: number; chainId: number; configPath: string }): string[] {
  const args = ['--host', fixed.host, '--port', String(fixed.port), '--chain-id', String(fixed.chainId)];
  args.push('--slots-in-an-epoch', String(options.slotsInAnEpoch ?? 1), '--config-out', fixed.configPath);
  args.push('--accounts', String(options.accounts ?? 10));
  if (options.blockTime !== undefined) args.push('--block-time', String(options.blockTime));
  if (options.statePath !== undefined) args.push('--state', options.statePath);
  if (options.timestamp !== undefined) args.push('--timestamp', String(options.timestamp));
  args.push(...(options.extraArgs ?? []));
  return args;
}

function parseAccounts(configText: string): AnvilAccount[] {
  const config: { available_accounts: `0x${string}`[]; private_keys: `0x${string}`[] } = JSON.parse(configText);
  return config.available_accounts.map((address, index) => {
    const privateKey = config.private_keys[index];
    if (privateKey === undefined) throw new Error(`anvil gave no key for account ${index}`);
    return { address, privateKey };
  });
}

async function call(rpcUrl: string, method: string, params: readonly unknown[]): Promise<unknown> {
  const response = await fetch(rpcUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(10_000),
  });
  const body: unknown = await response.json();
  if (typeof body !== 'object' || body === null) throw new Error(`${method}: the answer is not an object`);
  if ('error' in body) throw new Error(`${method}: ${JSON.stringify(body.error)}`);
  return 'result' in body ? body.result : undefined;
}
