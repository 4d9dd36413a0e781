import type { MarketEvent } from '@cupel/chain/events';
import type { Hex } from '@cupel/protocol/hex';

import type { Header } from '../src/tail/path.ts';
import type { ChainReader } from '../src/tail/follow.ts';
import type { EventAt } from '../src/project/reduce.ts';

interface SimulatedBlock extends Header {
  readonly events: readonly MarketEvent[];
}

/** A chain that grows and reorganises on command. Finality is `depth` blocks below the highest head that ever was. */
export class SimulatedChain implements ChainReader {
  #blocks: SimulatedBlock[] = [];
  #made = 0;
  #highest = 0;
  readonly #depth: number;
  /** Answers as a node would that has seen only the blocks up to here. */
  lagTo: number | undefined;

  constructor(depth: number) {
    this.#depth = depth;
    this.grow([]);
  }

  grow(events: readonly MarketEvent[]): void {
    this.#made += 1;
    const parent = this.#blocks.at(-1);
    const number = parent ? parent.number + 1 : 0;
    const hash: Hex = `0x${this.#made.toString(16).padStart(64, '0')}`;
    this.#blocks.push({ number, hash, parentHash: parent?.hash ?? `0x${'ff'.repeat(32)}`, timestamp: 1000 + this.#made, events });
    this.#highest = Math.max(this.#highest, number);
  }

  /** Removes up to `depth` blocks, none of them final. */
  cut(depth: number): void {
    const keep = Math.max(this.finalized + 1, this.#blocks.length - depth);
    this.#blocks = this.#blocks.slice(0, keep);
  }

  /** Removes blocks, final or not. */
  cutDeep(depth: number): void {
    this.#blocks = this.#blocks.slice(0, -depth);
  }

  /** The chain as it is, to come back to. */
  remember(): () => void {
    const blocks = [...this.#blocks];
    return () => {
      this.#blocks = blocks;
    };
  }

  get finalized(): number {
    return Math.max(0, this.#highest - this.#depth);
  }

  #visible(): SimulatedBlock[] {
    return this.lagTo === undefined ? this.#blocks : this.#blocks.slice(0, this.lagTo + 1);
  }

  async heads() {
    const blocks = this.#visible();
    const latest = blocks.at(-1)!;
    const finalized = blocks[Math.min(this.finalized, latest.number)]!;
    return { latest, safe: finalized, finalized };
  }

  async block(number: number) {
    return this.#visible()[number];
  }

  async eventsOf(block: Header): Promise<readonly EventAt[]> {
    const found = this.#blocks.find((b) => b.hash === block.hash);
    if (!found) throw new Error(`no block ${block.hash}`);
    return found.events.map((event, i) => ({
      event,
      blockNumber: found.number,
      transactionHash: `${found.hash.slice(0, 60)}${i.toString(16).padStart(6, '0')}` as Hex,
    }));
  }

  async eventsBetween(from: number, to: number): Promise<readonly EventAt[]> {
    return (await Promise.all(this.#blocks.slice(from, to + 1).map((b) => this.eventsOf(b)))).flat();
  }
}
