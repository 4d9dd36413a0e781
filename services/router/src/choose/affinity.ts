const BLOCK = 256;
const MOST_BLOCKS = 32;

/**
 * Chained hashes of a prompt's 256-byte blocks, beginning with the tenant: two tenants never share one, so that no tenant can learn by
 * timing what another has asked. FNV-1a over two lanes; a collision costs a worse choice, nothing else.
 */
export const prefixBlocks = (tenant: string, prompt: Uint8Array): number[] => {
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  const mix = (byte: number): void => {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte ^ 0x5a, 0x01000193);
  };
  for (let i = 0; i < tenant.length; i++) mix(tenant.charCodeAt(i) & 0xff);
  const blocks: number[] = [];
  const end = Math.min(Math.floor(prompt.length / BLOCK), MOST_BLOCKS) * BLOCK;
  for (let i = 0; i < end; i++) {
    mix(prompt[i]!);
    if (i % BLOCK === BLOCK - 1) blocks.push((a >>> 0) * 2 ** 20 + ((b >>> 0) >>> 12));
  }
  return blocks;
};

/** Which endpoint saw which prefix last; bounded, oldest out first. */
export class PrefixIndex {
  readonly #capacity: number;
  readonly #where = new Map<number, string>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  remember(blocks: readonly number[], key: string): void {
    for (const block of blocks) {
      this.#where.delete(block);
      this.#where.set(block, key);
    }
    for (const oldest of this.#where.keys()) {
      if (this.#where.size <= this.#capacity) break;
      this.#where.delete(oldest);
    }
  }

  /** 0 … 1: the part of `blocks` that `key` saw last, counted from the front. */
  affinity(blocks: readonly number[], key: string): number {
    if (blocks.length === 0) return 0;
    let matched = 0;
    while (matched < blocks.length && this.#where.get(blocks[matched]!) === key) matched += 1;
    return matched / blocks.length;
  }
}
