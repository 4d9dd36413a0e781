import type { Hex } from '@cupel/protocol/hex';
import { describe, expect, it } from 'vitest';

import { decideStep } from '../src/tail/path.ts';
import type { Header, View } from '../src/tail/path.ts';

const hash = (n: number, fork = 0): Hex => `0x${(fork * 1000 + n).toString(16).padStart(64, '0')}`;
const header = (number: number, fork = 0, parentFork = fork): Header => ({
  number,
  hash: hash(number, fork),
  parentHash: hash(number - 1, parentFork),
  timestamp: number,
});
const view = (more: Partial<View>): View => ({
  tip: header(10),
  finalized: 5,
  startBlock: 0,
  head: header(10),
  nodeFinalized: 5,
  next: undefined,
  same: header(10),
  ours: hash(10),
  ...more,
});

describe('decideStep', () => {
  it('waits at the head', () => expect(decideStep(view({}))).toEqual({ kind: 'wait', why: 'current' }));

  it('applies a block whose parent is our tip', () => {
    expect(decideStep(view({ head: header(12), next: header(11) }))).toEqual({ kind: 'apply', block: header(11) });
  });

  it('takes the tip back when the next block has another parent, and when the head itself is another', () => {
    expect(decideStep(view({ head: header(12, 1), next: header(11, 1) }))).toEqual({ kind: 'undo', block: header(10) });
    expect(decideStep(view({ head: header(10, 1), same: header(10, 1) }))).toEqual({ kind: 'undo', block: header(10) });
    expect(decideStep(view({ head: header(8, 1), same: header(8, 1), ours: hash(8) }))).toEqual({ kind: 'undo', block: header(10) });
  });

  it('ignores a node that is behind on our own chain', () => {
    expect(decideStep(view({ head: header(8), same: header(8), ours: hash(8) }))).toEqual({ kind: 'wait', why: 'lagging' });
    expect(decideStep(view({ head: header(2), same: header(2), ours: undefined }))).toEqual({ kind: 'wait', why: 'lagging' });
    expect(decideStep(view({ head: header(12), next: undefined }))).toEqual({ kind: 'wait', why: 'lagging' });
  });

  it('halts rather than rewrite what was final', () => {
    const step = decideStep(view({ finalized: 10, head: header(12, 1), same: header(10, 1), next: header(11, 1) }));
    expect(step).toMatchObject({
      kind: 'halt',
      reason: expect.stringMatching(/does not contain block 10 .*compare with other RPC endpoints/),
    });
  });

  it('reads a long finalized range at once, but only from a tip that is on the chain', () => {
    expect(decideStep(view({ head: header(5000), nodeFinalized: 4000, next: header(11) }))).toEqual({
      kind: 'backfill',
      from: 11,
      to: 2010,
    });
    expect(decideStep(view({ head: header(5000, 1), nodeFinalized: 4000, same: header(10, 1), next: header(11, 1) })).kind).toBe('undo');
    expect(
      decideStep(
        view({ tip: undefined, same: undefined, ours: undefined, startBlock: 7, head: header(90), nodeFinalized: 80, next: header(7) }),
      ),
    ).toEqual({
      kind: 'backfill',
      from: 7,
      to: 80,
    });
    expect(decideStep(view({ tip: undefined, same: undefined, ours: undefined, startBlock: 95, head: header(90) }))).toEqual({
      kind: 'wait',
      why: 'current',
    });
  });
});
