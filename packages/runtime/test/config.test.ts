import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import { ConfigError, readConfig, readSecret } from '../src/config.ts';

const folder = mkdtempSync(join(tmpdir(), 'cupel-config-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const schema = z.object({ nats: z.object({ url: z.string() }).strict(), port: z.number().default(80) }).strict();

describe('readConfig', () => {
  it('reads and fills defaults', () => {
    expect(readConfig(file('good.json', '{"nats":{"url":"nats://x"}}'), schema)).toEqual({ nats: { url: 'nats://x' }, port: 80 });
  });

  it('names the file and every wrong field, without values', () => {
    const path = file('bad.json', '{"nats":{"url":5},"port":"hunter2","more":1}');
    const read = () => readConfig(path, schema);
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(new RegExp(`${path}.*nats\\.url.*port`));
    expect(read).toThrow(/more/);
    expect(read).not.toThrow(/hunter2/);
  });

  it('says that it is no JSON, is missing, or that the variable is not set', () => {
    expect(() => readConfig(file('text.json', '{secret'), schema)).toThrow(/not valid JSON/);
    expect(() => readConfig(join(folder, 'none.json'), schema)).toThrow(/ENOENT/);
    expect(() => readConfig('', schema)).toThrow(/set CUPEL_CONFIG/);
  });
});

describe('readSecret', () => {
  it('trims, and names the path when it is missing or empty', () => {
    expect(readSecret(file('key', ' 0xabc \n'))).toBe('0xabc');
    expect(() => readSecret(file('empty', ' \n'))).toThrow(/empty is empty/);
    expect(() => readSecret(join(folder, 'none'))).toThrow(/none cannot be read \(ENOENT\)/);
  });
});
