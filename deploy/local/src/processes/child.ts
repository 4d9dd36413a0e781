import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A running program whose life never exceeds ours: the kernel kills it when we die, however we die. */
export interface Child extends AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  readonly logPath: string;
  /** Settles when the program has ended; never rejects. */
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  running(): boolean;
  /** SIGTERM, then SIGKILL after `graceMs`. */
  stop(graceMs?: number): Promise<void>;
  /** SIGKILL, as a crash would. */
  kill(): Promise<void>;
}

export interface ChildSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Receives stdout and stderr, appended. */
  readonly logPath: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/**
 * Starts a program under `setpriv --pdeathsig KILL` (prctl PR_SET_PDEATHSIG), so that neither a crash nor `kill -9` of the parent
 * leaves it behind.
 * @throws when the program cannot be spawned at all; an early exit shows in `exited` and in `waitUntil`.
 */
export async function startChild(spec: ChildSpec): Promise<Child> {
  const log = openSync(spec.logPath, 'a');
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', spec.command, ...spec.args], {
    stdio: ['ignore', log, log],
    ...(spec.env === undefined ? {} : { env: spec.env }),
    ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
  });
  closeSync(log);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => reject(new Error(`cannot start ${spec.name}: setpriv is missing; install util-linux`, { cause })));
  });
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  const running = (): boolean => child.exitCode === null && child.signalCode === null;
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  const stop = async (graceMs = 3000): Promise<void> => {
    if (!running()) return;
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await exited;
    clearTimeout(timer);
  };
  return {
    name: spec.name,
    pid: child.pid ?? 0,
    logPath: spec.logPath,
    exited,
    running,
    stop,
    kill,
    [Symbol.asyncDispose]: () => stop(),
  };
}

/**
 * Asks `probe` every 50 ms until it says true; a throwing probe counts as "not yet".
 * @throws naming the program and quoting the end of its log when it ends early or `timeoutMs` passes.
 */
export async function waitUntil(child: Child, what: string, timeoutMs: number, probe: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (!child.running()) {
      const { code, signal } = await child.exited;
      throw new Error(
        `${child.name} ended (${signal ?? `code ${code}`}) before ${what}; its log ${child.logPath} ends:\n${logTail(child.logPath)}`,
      );
    }
    if (await probe().catch(() => false)) return;
    if (performance.now() > deadline) {
      throw new Error(`${child.name}: not ${what} after ${timeoutMs} ms; its log ${child.logPath} ends:\n${logTail(child.logPath)}`);
    }
    await sleep(50);
  }
}

/** The last lines of a log, at most 2 KB; empty when there is none. */
export function logTail(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(-2048);
  } catch {
    return '';
  }
}

/** Ports of 127.0.0.1 that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => {
            const address = server.address();
            if (address === null || typeof address === 'string') reject(new Error('no port was given'));
            else resolve(address.port);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
  return ports;
}

/** One port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  if (port === undefined) throw new Error('no free port on 127.0.0.1');
  return port;
}
