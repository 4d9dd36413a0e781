import { readFileSync } from 'node:fs';

import type { z } from 'zod';

/** The configuration cannot be used; the message names file, field and remedy. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Reads one JSON file and checks it against `schema`. Throws {@link ConfigError} that names the file and every field that is wrong; values
 * are not repeated, since a secret may stand in the wrong place.
 */
export const readConfig = <S extends z.ZodType>(path: string, schema: S): z.output<S> => {
  if (path === '') throw new ConfigError('no configuration file; set CUPEL_CONFIG to the path of one');
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const why = cause instanceof SyntaxError ? 'is not valid JSON' : `cannot be read (${codeOf(cause)})`;
    throw new ConfigError(`configuration file ${path} ${why}; correct it or set CUPEL_CONFIG to another`, { cause: codeOf(cause) });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.map(String).join('.') || '(the whole file)'}: ${issue.message}`);
  throw new ConfigError(`configuration file ${path}: ${problems.join('; ')}`);
};

/**
 * Reads a secret's file and cuts white space around it. Throws {@link ConfigError} that names the path, never the content, when the file is
 * missing or empty.
 */
export const readSecret = (path: string): string => {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new ConfigError(`secret file ${path} cannot be read (${codeOf(cause)}); mount the Secret that holds it`);
  }
  if (text === '') throw new ConfigError(`secret file ${path} is empty; put the secret into the Secret's key`);
  return text;
};

const codeOf = (error: unknown): string => (error instanceof Error ? ('code' in error ? String(error.code) : error.name) : 'unknown error');
