import type { LogFields, Logger } from '@cupel/protocol/log';

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: LogFields;
  readonly message: string;
}

export interface MemoryLogger extends Logger {
  readonly lines: readonly LogLine[];
}

/** Keeps lines instead of writing them. */
export const memoryLogger = (): MemoryLogger => {
  const lines: LogLine[] = [];
  const at =
    (level: LogLine['level']) =>
    (fields: LogFields, message: string): void =>
      void lines.push({ level, fields, message });
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
};
