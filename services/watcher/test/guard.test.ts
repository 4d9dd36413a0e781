import { keccak256 } from '@cupel/signing/keccak';
import type { Hex } from '@cupel/protocol/hex';
import { describe, expect, it } from 'vitest';

import { mayHaveLogged } from '../src/guard/bloom.ts';
import { exitsNear } from '../src/guard/exits.ts';
import { advance, implausible, stale } from '../src/guard/heads.ts';

const block = (number: number) => ({ number, hash: `0x${'00'.repeat(32)}` as Hex, timestamp: 0 });

describe('guards', () => {
  it('reads a bloom filter: an empty one excludes, a full one admits', () => {
    const address: Hex = `0x${'ab'.repeat(20)}`;
    expect(mayHaveLogged(keccak256, `0x${'00'.repeat(256)}`, address)).toBe(false);
    expect(mayHaveLogged(keccak256, `0x${'ff'.repeat(256)}`, address)).toBe(true);
  });

  it('finds heads that contradict each other', () => {
    expect(implausible({ latest: block(10), safe: block(9), finalized: block(8) })).toBeUndefined();
    expect(implausible({ latest: block(10), safe: block(8), finalized: block(9) })).toMatch(/finalized block 9 is above safe block 8/);
    expect(implausible({ latest: block(7), safe: block(8), finalized: block(7) })).toMatch(/above head 7/);
  });

  it('moves a cursor forward only, and not beyond the projections', () => {
    expect(advance(5, 9, 7)).toBe(7);
    expect(advance(5, 3, 7)).toBe(5);
  });

  it('tells a stale head', () => {
    expect(stale(1000, 1_010_000, 15)).toBeUndefined();
    expect(stale(1000, 1_030_000, 15)).toMatch(/30 s old/);
  });

  it('finds exits that are near and still hold money', () => {
    const descriptor = {
      payer: '0x',
      payee: '0x',
      token: '0x',
      signerKind: 0 as const,
      signer: '0x',
      withdrawDelay: 1,
      salt: '0x',
    } as const;
    const channel = {
      version: 1 as const,
      channelId: '0x' as Hex,
      descriptor,
      deposit: 10n,
      settled: 3n,
      closeAt: 5000,
      status: 'closing' as const,
      openedAtBlock: 1,
    };
    const all = [channel, { ...channel, settled: 10n }, { ...channel, status: 'open' as const }, { ...channel, closeAt: 99_999 }];
    expect(exitsNear(all, 4000, 3600)).toEqual([channel]);
  });
});
