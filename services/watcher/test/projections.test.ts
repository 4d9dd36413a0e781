import type { Hex } from '@cupel/protocol/hex';
import { stakeState } from '@cupel/protocol/wire/projections';
import { kvKey } from '@cupel/protocol/wire/subjects';
import { memoryBus } from '@cupel/testing/memory-bus';
import { expect, it } from 'vitest';

import { busProjections } from '../src/io/bus.ts';
import { openUndoJournal } from '../src/io/journal.ts';
import { createFollower } from '../src/tail/follow.ts';
import { SimulatedChain } from './simulated-chain.ts';

it('puts an entry there again that somebody else took away, within a minute', async () => {
  await using bus = memoryBus();
  using journal = openUndoJournal(':memory:', 'test');
  let nowMs = 1_000_000;
  const chain = new SimulatedChain(3);
  const follower = createFollower({
    chain,
    journal,
    projections: busProjections({ bus, clock: { nowMs: () => nowMs }, onWrite: () => undefined }),
    startBlock: 0,
    observer: { applied: () => undefined, undone: () => undefined, halted: () => undefined, odd: () => undefined },
  });
  const modelId: Hex = `0x${'01'.repeat(32)}`;
  chain.grow([{ name: 'Deposited', modelId, from: `0x${'02'.repeat(20)}`, stake: 5n, bond: 1n }]);
  await follower.pass();
  const kv = bus.kv('stakes', stakeState);
  expect(await kv.get(kvKey(modelId))).toMatchObject({ staked: 5n });
  await kv.delete(kvKey(modelId));
  nowMs += 59_000;
  await follower.pass();
  expect(await kv.get(kvKey(modelId))).toBeUndefined();
  nowMs += 1_000;
  await follower.pass();
  expect(await kv.get(kvKey(modelId))).toMatchObject({ staked: 5n });
});
