/** What the liar told instead of the truth, for the demo's count. */
export interface Lie {
  /** Ordinal of the answer, from 1, lies and honest answers alike. */
  readonly answer: number;
  /** Ordinal of the lie, from 1. */
  readonly lie: number;
  readonly input: Uint8Array;
  readonly honest: Uint8Array;
  readonly told: Uint8Array;
}

export interface LieOptions {
  readonly seed: number;
  /** Share of answers that are false, 0 to 1. */
  readonly rate: number;
  /** Honest answers first, so that the operator's probe finds an honest engine. */
  readonly after: number;
}

/** Wraps an honest engine. Which answers are false depends on the seed and their order alone. */
export function lying(
  answer: (input: Uint8Array) => Uint8Array,
  options: LieOptions,
  told: (lie: Lie) => void,
): (input: Uint8Array) => Uint8Array {
  const random = seeded(options.seed);
  let answers = 0;
  let lies = 0;
  return (input) => {
    const honest = answer(input);
    answers += 1;
    if (answers <= options.after || random() >= options.rate) return honest;
    const falsified = falsify(honest, random);
    lies += 1;
    told({ answer: answers, lie: lies, input, honest, told: falsified });
    return falsified;
  };
}

/** The same logits with the winner's place taken by another class. */
export function falsify(honest: Uint8Array, random: () => number): Uint8Array {
  const winner = honest.indexOf(Math.max(...honest));
  const other = (winner + 1 + Math.floor(random() * (honest.length - 1))) % honest.length;
  const top = honest[winner] ?? 0;
  const lie = honest.slice();
  lie[winner] = Math.max(0, Math.min(honest[other] ?? 0, top - 1));
  lie[other] = Math.max(1, top);
  return lie;
}

/** A seeded generator (mulberry32): uniform in [0, 1). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
