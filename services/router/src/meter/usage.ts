import type { UnitBound } from '../admit/hold.ts';
import type { Usage } from '../stream/chat-events.ts';

export interface Units {
  readonly inputUnits: bigint;
  readonly outputUnits: bigint;
}

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** Rule of thumb for a prompt whose engine was stopped before it said what it counted; low, since it is a guess at someone's cost. */
const BYTES_PER_TOKEN = 4;

/**
 * What an answer bills: the engine's own count, or, when it was cut before it counted, the content chunks that were delivered (engines send
 * one token a chunk) and a low estimate of the prompt. Never more than the hold covers.
 */
export const billedUnits = (about: {
  readonly usage: Usage | undefined;
  readonly contentChunks: number;
  readonly bodyBytes: number;
  readonly bound: UnitBound;
}): Units => {
  const { usage, bound } = about;
  const input = usage?.promptTokens ?? Math.floor(about.bodyBytes / BYTES_PER_TOKEN);
  const output = usage?.completionTokens ?? about.contentChunks;
  return { inputUnits: least(BigInt(input), bound.inputUnits), outputUnits: least(BigInt(output), bound.outputUnits) };
};
