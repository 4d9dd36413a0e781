import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

import type { Hex } from '@cupel/protocol/hex';

import type { EqualBytes, Hmac } from '../admit/session-mac.ts';

export const hmac: Hmac = (key, message) => createHmac('sha256', key).update(message).digest();

export const equalBytes: EqualBytes = (a, b) => a.length === b.length && timingSafeEqual(a, b);

export const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex');

export const randomBytes32 = (): Hex => `0x${randomBytes(32).toString('hex')}`;

/** 0 … 2^31−1: what every engine takes as a seed. */
export const randomSeed = (): number => randomBytes(4).readUInt32BE() & 0x7fff_ffff;
