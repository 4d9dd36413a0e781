/** What a package or room needs of a logger: structured fields first, then one sentence. Secrets never go in. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

/** An error goes under the key `err`. */
export type LogFields = Readonly<Record<string, unknown>>;
