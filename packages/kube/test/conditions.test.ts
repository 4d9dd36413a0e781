import { describe, expect, it } from 'vitest';
import { type Condition, removeCondition, sameJson, setCondition } from '../src/conditions.ts';

const ready = { type: 'Ready', status: 'True', reason: 'Available', message: 'ok', observedGeneration: 1 } as const;

describe('conditions', () => {
  it('keeps lastTransitionTime while the status is the same, whatever else changes', () => {
    const first = setCondition(undefined, ready, '2026-01-01T00:00:00Z');
    const second = setCondition(first, { ...ready, reason: 'StillAvailable', observedGeneration: 2 }, '2026-01-02T00:00:00Z');
    expect(second).toEqual([{ ...ready, reason: 'StillAvailable', observedGeneration: 2, lastTransitionTime: '2026-01-01T00:00:00Z' }]);
    const third = setCondition(second, { ...ready, status: 'False' }, '2026-01-03T00:00:00Z');
    expect(third[0]?.lastTransitionTime).toBe('2026-01-03T00:00:00Z');
  });

  it('gives an equal list when nothing changed, and keeps the others', () => {
    const other: Condition = { type: 'Accepted', status: 'True', reason: 'Valid', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
    const list = setCondition([other], ready, '2026-01-01T00:00:00Z');
    expect(setCondition(list, ready, '2027-01-01T00:00:00Z')).toEqual(list);
    expect(removeCondition(list, 'Ready')).toEqual([other]);
  });

  it('cuts a message that an API server would refuse', () => {
    const [condition] = setCondition([], { ...ready, message: 'x'.repeat(40_000) }, '2026-01-01T00:00:00Z');
    expect(condition?.message).toHaveLength(32_768);
  });

  it.each([
    [{ a: 1, b: [1, 2] }, { b: [1, 2], a: 1 }, true],
    [{ a: 1, b: undefined }, { a: 1, b: null }, true],
    [[{ type: 'A', x: 1 }, { type: 'B' }], [{ type: 'B' }, { type: 'A', x: 1 }], true],
    [[1, 2], [2, 1], false],
    [{ a: [] }, { a: {} }, false],
    [{ a: 1 }, { a: '1' }, false],
    [undefined, { a: 1 }, false],
  ])('compares %j with %j: %s', (a, b, same) => {
    expect(sameJson(a, b)).toBe(same);
    expect(sameJson(b, a)).toBe(same);
  });
});
