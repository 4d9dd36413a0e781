import { describe, expect, it } from 'vitest';
import { createProgress } from '../src/progress.ts';

describe('createProgress', () => {
  it('writes plain lines with the step, what it does and its seconds', async () => {
    let text = '';
    let nowMs = 0;
    const progress = createProgress({ write: (part) => (text += part) }, 2, () => nowMs);
    expect(
      await progress.step('images', async (note) => {
        nowMs = 1000;
        note('python');
        note('python');
        nowMs = 2500;
        return 7;
      }),
    ).toBe(7);
    await expect(progress.step('cluster', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(text.split('\n')).toEqual([
      '[1/2] images … 0.0 s',
      '[1/2] images: python … 1.0 s',
      '[1/2] images ✓ 2.5 s',
      '[2/2] cluster … 0.0 s',
      '[2/2] cluster ✗ failed after 0.0 s',
      '',
    ]);
  });
});
