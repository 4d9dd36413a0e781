/** Tells what is being worked on right now, for instance the program that is built. */
export type Note = (text: string) => void;

/** For callers to whom it does not matter. */
export const quiet: Note = () => undefined;

/** Shows where a long piece of work stands: on a terminal one line that is rewritten, elsewhere plain lines. */
export interface Progress {
  /** Runs `work` as the next step: "[2/5] images: python … 3.1 s". A failure is shown and thrown on. */
  step<T>(title: string, work: (note: Note) => Promise<T>): Promise<T>;
}

export interface ProgressTarget {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

const heartbeatMs = 15_000;
const redrawMs = 500;

/**
 * @param total number of steps; undefined when it is not known beforehand.
 * @param nowMs monotonic clock in milliseconds.
 */
export function createProgress(out: ProgressTarget, total?: number, nowMs: () => number = () => performance.now()): Progress {
  const terminal = out.isTTY === true;
  let count = 0;
  return {
    async step(title, work) {
      count += 1;
      const begin = nowMs();
      let latest = '';
      const show = (end: string): void => {
        const text = `[${count}${total === undefined ? '' : `/${total}`}] ${title}${latest === '' ? '' : `: ${latest}`} ${end} ${((nowMs() - begin) / 1000).toFixed(1)} s`;
        out.write(terminal ? `\r\x1b[K${text}${end === '…' ? '' : '\n'}` : `${text}\n`);
      };
      show('…');
      const timer = setInterval(() => show('…'), terminal ? redrawMs : heartbeatMs);
      try {
        const result = await work((text) => {
          if (text === latest) return;
          latest = text;
          show('…');
        });
        latest = '';
        show('✓');
        return result;
      } catch (error) {
        show('✗ failed after');
        throw error;
      } finally {
        clearInterval(timer);
      }
    },
  };
}

/** Shows nothing. */
export const silentProgress: Progress = { step: (_title, work) => work(quiet) };
