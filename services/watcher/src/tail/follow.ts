import type { Hex } from '@cupel/protocol/hex';

import { advance, implausible } from '../guard/heads.ts';
import type { Heads } from '../guard/heads.ts';
import { inverse, reduceBlock } from '../project/reduce.ts';
import type { EventAt } from '../project/reduce.ts';
import type { Change, Rows } from '../project/rows.ts';
import { decideStep } from './path.ts';
import type { BlockRef, Header, Step } from './path.ts';

/** The chain, as the tail needs it. Every method throws when no node answers. */
export interface ChainReader {
  heads(): Promise<Heads & { readonly latest: Header }>;
  block(number: number): Promise<Header | undefined>;
  /** Of one block, by its hash: an answer of another fork is impossible. */
  eventsOf(block: Header): Promise<readonly EventAt[]>;
  /** Of a finalized range. */
  eventsBetween(from: number, to: number): Promise<readonly EventAt[]>;
}

/** Durable memory: cursor, rows, and the way back. Each method is one transaction. */
export interface UndoJournal extends Rows {
  tip(): (BlockRef & { readonly timestamp: number }) | undefined;
  finalized(): number;
  setFinalized(number: number): void;
  /** Our hash at a height; undefined when it is not remembered. */
  hashAt(number: number): Hex | undefined;
  /** The tip moves to `block`; `undoable`: the changes are kept for the way back. */
  apply(block: Header, changes: readonly Change[], undoable: boolean): void;
  /** What the block changed; undefined when it is not remembered. */
  changesOf(block: BlockRef): readonly Change[] | undefined;
  /** The tip moves back to the block before; `changes` are the inverse ones. */
  undo(block: BlockRef, changes: readonly Change[]): void;
  /** Forgets the ways back at and below this height, but for the newest hashes. */
  prune(below: number): void;
}

/** Where the projections go. */
export interface Projections {
  /** Brings the touched keys up to date with `rows`. */
  write(rows: Rows, changes: readonly Change[]): Promise<void>;
  writeHeads(cursors: {
    readonly latest: Cursor;
    readonly safe: Cursor | undefined;
    readonly finalized: Cursor | undefined;
  }): Promise<void>;
}

export type Cursor = BlockRef & { readonly timestamp: number };

export interface FollowObserver {
  applied(blocks: number): void;
  undone(block: BlockRef): void;
  halted(reason: string | undefined): void;
  odd(problem: string): void;
}

export interface Follower {
  /** Follows until the node has nothing new. Throws when chain, journal or projections fail; the next call goes on where it stopped. */
  pass(): Promise<void>;
  /** undefined: fine. */
  problem(): string | undefined;
}

/** Steps after which the projections are written even when the node has more. */
const STEPS_PER_WRITE = 64;

export const createFollower = (deps: {
  readonly chain: ChainReader;
  readonly journal: UndoJournal;
  readonly projections: Projections;
  readonly observer: FollowObserver;
  readonly startBlock: number;
}): Follower => {
  const { chain, journal, projections, observer } = deps;
  let halt: string | undefined;
  /** In the journal, not yet in the projections. */
  let unwritten: Change[] = [];

  const look = async (head: Header, nodeFinalized: number): Promise<Step> => {
    const tip = journal.tip();
    const sameAt = tip && Math.min(head.number, tip.number);
    const nextAt = tip ? tip.number + 1 : deps.startBlock;
    const [same, next] = await Promise.all([
      sameAt === undefined ? undefined : chain.block(sameAt),
      nextAt <= head.number ? chain.block(nextAt) : undefined,
    ]);
    const ours = sameAt === undefined ? undefined : journal.hashAt(sameAt);
    return decideStep({ tip, finalized: journal.finalized(), startBlock: deps.startBlock, head, nodeFinalized, next, same, ours });
  };

  const applyBlock = async (block: Header): Promise<void> => {
    const changes = reduceBlock(journal, await chain.eventsOf(block));
    journal.apply(block, changes, true);
    unwritten.push(...changes);
    observer.applied(1);
  };

  const backfill = async (from: number, to: number): Promise<void> => {
    const last = await chain.block(to);
    const changes = reduceBlock(journal, await chain.eventsBetween(from, to));
    if (!last || (await chain.block(to))?.hash !== last.hash) throw new Error(`block ${to} changed while the range up to it was read`);
    journal.apply(last, changes, false);
    journal.setFinalized(Math.max(journal.finalized(), to));
    unwritten.push(...changes);
    observer.applied(to - from + 1);
  };

  const undoBlock = (block: BlockRef): void => {
    const changes = journal.changesOf(block);
    if (!changes) throw new Error(`the way back from block ${block.number} is not remembered; delete the state file to rebuild it`);
    const back = inverse(changes);
    journal.undo(block, back);
    unwritten.push(...back);
    observer.undone(block);
  };

  /** Ends with a step of kind wait or halt, or after some steps so that the projections do not fall behind. */
  const follow = async (head: Header, nodeFinalized: number): Promise<Step> => {
    for (let steps = 0; ; steps++) {
      const step = await look(head, nodeFinalized);
      if (step.kind === 'wait' || step.kind === 'halt' || steps === STEPS_PER_WRITE) return step;
      if (step.kind === 'apply') await applyBlock(step.block);
      else if (step.kind === 'backfill') await backfill(step.from, step.to);
      else undoBlock(step.block);
    }
  };

  const writeCursors = async (heads: Heads): Promise<void> => {
    const tip = journal.tip();
    if (!tip) return;
    const finalized = advance(journal.finalized(), heads.finalized.number, tip.number);
    journal.setFinalized(finalized);
    journal.prune(finalized);
    const at = async (node: Cursor): Promise<Cursor | undefined> => {
      if (node.number >= tip.number) return tip;
      const ours = journal.hashAt(node.number);
      return ours === undefined || ours === node.hash ? node : undefined;
    };
    await projections.writeHeads({ latest: tip, safe: await at(heads.safe), finalized: await at(heads.finalized) });
  };

  return {
    async pass() {
      const heads = await chain.heads();
      const odd = implausible(heads);
      if (odd !== undefined) return observer.odd(odd);
      for (;;) {
        const last = await follow(heads.latest, heads.finalized.number);
        await projections.write(journal, unwritten);
        unwritten = [];
        halt = last.kind === 'halt' ? last.reason : undefined;
        observer.halted(halt);
        if (halt !== undefined) return;
        if (last.kind === 'wait') {
          if (last.why === 'lagging')
            observer.odd(`the node is behind: its head is ${heads.latest.number}, ours is ${journal.tip()?.number ?? 'none'}`);
          break;
        }
      }
      await writeCursors(heads);
    },
    problem: () => halt,
  };
};
