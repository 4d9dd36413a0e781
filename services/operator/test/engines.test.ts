import type { Hex } from '@cupel/protocol/hex';
import { baseUnits } from '@cupel/protocol/money';
import type { Engine } from '@cupel/protocol/wire/bus';
import { edgeScope, receiptsSubject } from '@cupel/protocol/wire/subjects';
import { memoryLogger } from '@cupel/testing/logger';
import { memoryBus } from '@cupel/testing/memory-bus';
import { expect, test } from 'vitest';

import { createEngines } from '../src/io/engines.ts';

const id: Hex = `0x${'01'.repeat(32)}`;
const engine: Engine = {
  modelId: id,
  versionId: id,
  publicName: 'digits',
  kind: 'integer',
  url: 'http://digits-engine.honest.svc:8000',
  mode: 'IntegerExecution',
  prices: { inputPerMillion: baseUnits(0n), outputPerMillion: baseUnits(0n), perRequest: baseUnits(1n) },
  manifestSha256: 'ab'.repeat(32),
  verificationRoot: id,
  draining: false,
};
const receipt = { version: 1 };
const subject = receiptsSubject(edgeScope('honest', 'edge-1'));

test('makes the stream of receipts of each edge that has a list, and again when it is lost', async () => {
  await using bus = memoryBus();
  const make = () => createEngines(bus, memoryLogger(), { maxAgeMs: 60_000, maxBytes: 1e6 }, () => undefined);
  await using engines = await make();
  await expect(bus.publish(subject, receipt)).rejects.toThrow('not taken');
  await engines.publish('honest', 'edge-1', engine);
  expect(await bus.publish(subject, receipt)).toMatchObject({ sequence: 1 });

  bus.wipe();
  await engines.publish('honest', 'edge-1', engine);
  bus.ensureStream = () => Promise.reject(new Error('no room'));
  await expect(engines.repair()).rejects.toThrow('no room');
  // Without the stream the edge is told of its engines all the same.
  await engines.publish('honest', 'edge-2', engine);
  expect(await engines.get('honest', 'edge-2', id)).toMatchObject({ publicName: 'digits' });
});

test('after a restart the streams of the lists that are there are made', async () => {
  await using bus = memoryBus();
  const make = () => createEngines(bus, memoryLogger(), { maxAgeMs: 60_000, maxBytes: 1e6 }, () => undefined);
  const made: string[] = [];
  {
    await using before = await make();
    await before.publish('honest', 'edge-1', engine);
  }
  const ensure = bus.ensureStream.bind(bus);
  bus.ensureStream = (options) => {
    made.push(options.name);
    return ensure(options);
  };
  await using after = await make();
  await after.repair();
  expect(made).toEqual(['RECEIPTS_edge_honest_edge-1']);
});
