import { ConfigError } from '@cupel/runtime/config';

export interface EngineConfig {
  /** 0: a free port. */
  readonly port: number;
  readonly modelFolder: string;
  readonly modelName: string;
}

/** Reads PORT (8000), MODEL_DIR (/models) and CUPEL_MODEL_NAME. Throws {@link ConfigError} naming the variable. */
export function readEngineConfig(env: Readonly<Record<string, string | undefined>> = process.env): EngineConfig {
  const { PORT = '8000', MODEL_DIR = '/models', CUPEL_MODEL_NAME = '' } = env;
  if (!/^\d{1,5}$/.test(PORT) || Number(PORT) > 65_535) throw new ConfigError('PORT: want 0 to 65535');
  if (MODEL_DIR === '') throw new ConfigError('MODEL_DIR: want the folder that holds cupel-manifest.json');
  if (CUPEL_MODEL_NAME === '' || CUPEL_MODEL_NAME.length > 100) {
    throw new ConfigError('CUPEL_MODEL_NAME: want the name that clients ask for, 1 to 100 characters');
  }
  return { port: Number(PORT), modelFolder: MODEL_DIR, modelName: CUPEL_MODEL_NAME };
}
