import type { LogFields, Logger } from '@cupel/protocol/log';
import { pino } from 'pino';

export type { LogFields, Logger } from '@cupel/protocol/log';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

export interface LoggerOptions {
  /** Stands in every line as `service`. */
  readonly service: string;
  readonly level: LogLevel;
  /** Takes whole lines; default: standard output. */
  readonly write?: (line: string) => void;
}

/** Keys whose values never reach a log, at the top and one and two levels below. */
const SECRET_KEYS = ['password', 'apiKey', 'adminToken', 'privateKey', 'secret', 'key', 'authorization', 'mac', 'seed', 'body'];

/** JSON lines with ISO time; secrets are replaced by key, and anything that looks like one by {@link scrub}. */
export const createLogger = (options: LoggerOptions): Logger => {
  const redact = SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]);
  const log = pino(
    {
      level: options.level,
      base: { service: options.service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: redact, censor: '[redacted]' },
      serializers: { err: serializeError },
    },
    options.write ? { write: options.write } : pino.destination({ fd: 1, sync: true }),
  );
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (fields: LogFields, message: string): void => {
      if (log.isLevelEnabled(level)) log[level](plain(fields), message);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
};

/** A logger that says who speaks in every line. */
export const withFields = (logger: Logger, fields: LogFields): Logger => ({
  debug: (more, message) => logger.debug({ ...fields, ...more }, message),
  info: (more, message) => logger.info({ ...fields, ...more }, message),
  warn: (more, message) => logger.warn({ ...fields, ...more }, message),
  error: (more, message) => logger.error({ ...fields, ...more }, message),
});

/** Passwords in URLs and bearer tokens, wherever an error message carries them. */
const scrub = (text: string): string =>
  text.replace(/(\w+:\/\/[^\s:/@]*):[^\s@/]+@/g, '$1:[redacted]@').replace(/\b(Bearer\s+)\S+/gi, '$1[redacted]');

const serializeError = (error: unknown): unknown => {
  if (!(error instanceof Error)) return error;
  return {
    type: error.name,
    message: scrub(error.message),
    ...('code' in error ? { code: String(error.code) } : {}),
    stack: scrub(error.stack ?? ''),
    ...(error.cause === undefined ? {} : { cause: serializeError(error.cause) }),
  };
};

/** JSON has no bigint: decimal strings, as on the wire. */
const plain = (fields: LogFields): LogFields =>
  Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, typeof v === 'bigint' ? v.toString() : v]));
