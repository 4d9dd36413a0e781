import { setTimeout as delay } from 'node:timers/promises';

import type { Logger } from '@cupel/protocol/log';
import type { Clock } from '@cupel/protocol/time';

import { createLogger } from './logger.ts';

export const systemClock: Clock = { nowMs: () => Date.now() };

export interface Tools {
  readonly clock: Clock;
  /** Aborted at the first SIGTERM or SIGINT. */
  readonly stopping: AbortSignal;
  /** Resolves at the first SIGTERM or SIGINT with its name. */
  untilSignal(): Promise<NodeJS.Signals>;
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once, as it would without a handler. */
export const untilSignal = (): Promise<NodeJS.Signals> =>
  new Promise((resolve) => {
    const stop = (signal: NodeJS.Signals): void => {
      process.off('SIGTERM', stop);
      process.off('SIGINT', stop);
      resolve(signal);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });

export interface RepeatOptions {
  readonly name: string;
  readonly everyMs: number;
  /** Never runs twice at a time. The signal is aborted when the loop is stopped. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  readonly logger: Logger;
  /** Stops the loop as well as disposing of it does. */
  readonly signal?: AbortSignal;
  /** Longest pause after failures; default 16 × everyMs, at least 5 s. */
  readonly maxBackoffMs?: number;
  /** 0 … 1; default Math.random. */
  readonly random?: () => number;
}

export interface Repeating extends AsyncDisposable {
  /** Ends the pause: the next run begins at once, or right after the running one. */
  wake(): void;
}

/**
 * Runs `run` now and then `everyMs` after each end, until stopped. A failure is logged and doubles the pause (with jitter) up to
 * `maxBackoffMs`. Disposing waits for the run in progress.
 */
export const repeat = (options: RepeatOptions): Repeating => {
  const { everyMs, random = Math.random, maxBackoffMs = Math.max(5000, 16 * everyMs) } = options;
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  let woken = false;
  let wakeUp = new AbortController();
  const pause = async (ms: number): Promise<void> => {
    if (!woken) await delay(ms, undefined, { signal: AbortSignal.any([signal, wakeUp.signal]) }).catch(() => undefined);
    woken = false;
    wakeUp = new AbortController();
  };
  const loop = async (): Promise<void> => {
    let failures = 0;
    while (!signal.aborted) {
      try {
        await options.run(signal);
        failures = 0;
      } catch (err) {
        if (signal.aborted) return;
        failures += 1;
        options.logger.error({ err, loop: options.name, failures }, `${options.name} failed; it is tried again`);
      }
      if (signal.aborted) return;
      const backoff = Math.min(maxBackoffMs, everyMs * 2 ** Math.min(failures, 20));
      await pause(failures === 0 ? everyMs : backoff * (0.5 + random() / 2));
    }
  };
  const done = loop();
  return {
    wake() {
      woken = true;
      wakeUp.abort();
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
    },
  };
};

/** How long disposing may take before the process ends anyway; Kubernetes kills after 30 s. */
const DISPOSE_DEADLINE_MS = 25_000;

/**
 * The frame of every `main.ts`: `main` opens what it needs on `stack`, starts, and awaits `tools.untilSignal()`; when it returns, the stack
 * is disposed of in reverse and the process exits with 0. Anything thrown, also outside of `main`, is logged and exits with 1.
 */
export const runMain = async (name: string, main: (stack: AsyncDisposableStack, tools: Tools) => Promise<void>): Promise<void> => {
  const logger = createLogger({ service: name, level: 'info' });
  const crash = (err: unknown): void => {
    logger.error({ err }, `${name} stops: ${err instanceof Error ? err.message : 'unknown error'}`);
    process.exit(1);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
  const stopping = new AbortController();
  const signal = untilSignal();
  void signal.then(() => stopping.abort());
  const stack = new AsyncDisposableStack();
  let failure: unknown;
  try {
    await main(stack, { clock: systemClock, stopping: stopping.signal, untilSignal: () => signal });
  } catch (error) {
    failure = error ?? new Error('main threw nothing');
  }
  const late = setTimeout(() => crash(new Error(`disposing took longer than ${DISPOSE_DEADLINE_MS} ms`)), DISPOSE_DEADLINE_MS);
  late.unref();
  try {
    await stack.disposeAsync();
  } catch (error) {
    failure ??= error;
  }
  clearTimeout(late);
  if (failure !== undefined) crash(failure);
  process.exit(0);
};
