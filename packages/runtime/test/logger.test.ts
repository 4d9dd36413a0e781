import { describe, expect, it } from 'vitest';

import { createLogger, withFields } from '../src/logger.ts';

const capture = () => {
  const lines: string[] = [];
  return { lines, logger: createLogger({ service: 'router', level: 'info', write: (line) => void lines.push(line) }) };
};

describe('createLogger', () => {
  it('writes one JSON object per line, bigints as decimal strings', () => {
    const { lines, logger } = capture();
    logger.info({ amount: 2n ** 70n, channelId: '0x1' }, 'charged');
    logger.debug({}, 'not at this level');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'info', service: 'router', amount: '1180591620717411303424', msg: 'charged' });
  });

  it('never writes a secret, whatever it hangs on', () => {
    const { lines, logger } = capture();
    const canary = 'canary-31337';
    logger.info({ apiKey: canary, session: { key: canary, deep: { privateKey: canary } }, request: { authorization: canary } }, 'x');
    logger.error({ err: new Error(`connect nats://user:${canary}@host failed`, { cause: new Error(`Bearer ${canary}`) }) }, 'x');
    expect(lines).toHaveLength(2);
    expect(lines.join('')).not.toContain(canary);
    expect(lines.join('')).toContain('[redacted]');
  });

  it('keeps type, message and cause of an error', () => {
    const { lines, logger } = capture();
    logger.error({ err: new TypeError('outer', { cause: new Error('inner') }) }, 'failed');
    expect(JSON.parse(lines[0]!)).toMatchObject({ err: { type: 'TypeError', message: 'outer', cause: { message: 'inner' } } });
  });

  it('adds fields of the speaker', () => {
    const { lines, logger } = capture();
    withFields(logger, { loop: 'tail' }).warn({ block: 7 }, 'late');
    expect(JSON.parse(lines[0]!)).toMatchObject({ loop: 'tail', block: 7, level: 'warn' });
  });
});
