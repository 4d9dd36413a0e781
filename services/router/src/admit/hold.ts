import { priceOf } from '@cupel/protocol/money';
import type { Micro, Prices } from '@cupel/protocol/money';

import type { ChatRequest } from './chat-request.ts';

/** Most units that one answer may bill: what a hold covers and what a receipt is checked against. */
export interface UnitBound {
  readonly inputUnits: bigint;
  readonly outputUnits: bigint;
}

/** Output tokens of a request that names no limit; the edge writes it into the engine's request, so that a price never passes its hold. */
export const DEFAULT_MAX_TOKENS = 4096;

/** A chat template adds tokens that stand in no body. */
const TEMPLATE_TOKENS = 256n;

/** Output bytes that an integer model may bill. */
const MAX_OUTPUT_BYTES = 4096n;

/** Byte-level vocabularies never make more tokens than there are bytes: the body's length bounds its tokens. */
export const chatBound = (bodyBytes: number, request: ChatRequest): UnitBound => ({
  inputUnits: BigInt(bodyBytes) + TEMPLATE_TOKENS,
  outputUnits: BigInt((request.maxTokens ?? DEFAULT_MAX_TOKENS) * request.choices),
});

export const integerBound = (inputBytes: number): UnitBound => ({ inputUnits: BigInt(inputBytes), outputUnits: MAX_OUTPUT_BYTES });

export const mostPrice = (prices: Prices, bound: UnitBound): Micro => priceOf(prices, bound.inputUnits, bound.outputUnits);
