import type { Condition } from '@cupel/protocol/crd/fields';

export interface Found {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

/** Longest message that is written: a status is read by people. */
const MESSAGE_LIMIT = 2000;

/** RFC 3339 without a fraction, as metav1.Time has it. */
export const timeText = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** Findings as conditions, in their order; a time of change moves only with the status. Types without a finding are gone. */
export const conditionsFrom = (
  before: readonly Condition[] | undefined,
  found: readonly Found[],
  generation: number,
  nowMs: number,
): Condition[] =>
  found.map(({ type, status, reason, message }) => {
    const old = before?.find((condition) => condition.type === type);
    return {
      type,
      status,
      observedGeneration: generation,
      lastTransitionTime: old?.status === status ? old.lastTransitionTime : timeText(nowMs),
      reason,
      message: message.slice(0, MESSAGE_LIMIT),
    };
  });
