import type { Hex } from '@cupel/protocol/hex';
import { micro } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import type { ReceiptEvent } from '@cupel/protocol/wire/bus';
import { kvKey } from '@cupel/protocol/wire/subjects';
import { keccak256 } from '@cupel/signing/keccak';
import { memoryLogger } from '@cupel/testing/logger';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { createClaims } from '../src/loops/claims.ts';
import { createHousekeeping } from '../src/loops/housekeeping.ts';
import { drainOutbox } from '../src/loops/outbox.ts';
import {
  channelState,
  descriptorOf,
  head,
  hex32,
  idOf,
  modelId,
  payer,
  providerPayout,
  registryEntry,
  versionId,
  voucherOf,
} from './arrange.ts';
import { openParty } from './party.ts';
import type { Party } from './party.ts';

const descriptor = descriptorOf(payer, providerPayout);
const channelId = idOf(descriptor);
let party: Party;
const nowMs = () => party.clock.nowMs;

beforeEach(async () => {
  party = openParty('edge');
  party.facts.headChanged('latest', head(5, nowMs()));
  party.facts.headChanged('safe', head(4, nowMs()));
  party.facts.registryChanged(kvKey(modelId), registryEntry());
  party.facts.channelChanged(kvKey(channelId), channelState(descriptor));
  await party.common.voucher({ ...voucherOf(payer, descriptor, 100n), descriptor }, null);
});
afterEach(() => party[Symbol.dispose]());

const charge = async (from: number, to: number): Promise<void> => {
  const lease = await party.common.lease({ version: 1, routerId: 'r', channelId, minimum: micro(1000n), wanted: micro(1000n) });
  const leaseId = 'leaseId' in lease ? lease.leaseId : '';
  for (let n = from; n <= to; n++) {
    const draft = {
      versionId,
      channelId,
      inputHash: hex32(1),
      outputHash: hex32(2),
      params: {},
      inputUnits: 1n,
      outputUnits: 1n,
      outcome: 0n,
    };
    await party.edge.charge({ version: 1, leaseId, requestId: hex32(n), price: micro(BigInt(n)), publicName: 'digits', modelId, draft });
  }
};

/** A stream that drops what it knows by message id, may be deleted, and may be away. */
const memoryStream = () => {
  let held: ReceiptEvent[] = [];
  let exists = false;
  return {
    held: () => held.map((e) => e.envelope.receipt.requestId),
    lose() {
      held = [];
      exists = false;
    },
    ensure: () => {
      exists = true;
      return Promise.resolve();
    },
    publish(event: ReceiptEvent) {
      if (!exists) return Promise.reject(new Error('no stream has taken it'));
      const known = held.findIndex((e) => e.envelope.receipt.requestId === event.envelope.receipt.requestId);
      if (known >= 0) return Promise.resolve({ sequence: known + 1, duplicate: true });
      held.push(event);
      return Promise.resolve({ sequence: held.length, duplicate: false });
    },
  };
};

test('the outbox tells each receipt once, and all of them again when the stream was lost', async () => {
  const stream = memoryStream();
  const drain = () => drainOutbox({ ledger: party.ledger, stream, nowMs, keepMs: 60_000, logger: memoryLogger() });
  await charge(1, 3);
  expect(await drain()).toBe(3);
  expect(await drain()).toBe(0);
  expect(stream.held()).toEqual([hex32(1), hex32(2), hex32(3)]);
  stream.lose();
  await charge(4, 4);
  await drain();
  expect(new Set(stream.held())).toEqual(new Set([hex32(1), hex32(2), hex32(3), hex32(4)]));
  expect(party.ledger.records.unpublishedCount()).toBe(0);
});

test('a stream that does not take messages leaves them in the outbox', async () => {
  const stream = { ensure: () => Promise.resolve(), publish: () => Promise.reject(new Error('away')) };
  await charge(1, 2);
  await expect(drainOutbox({ ledger: party.ledger, stream, nowMs, keepMs: 60_000, logger: memoryLogger() })).rejects.toThrow('away');
  expect(party.ledger.records.unpublishedCount()).toBe(2);
});

test('claims: written before they are handed over, the same root after a refusal or silence, and done when the chain shows them', async () => {
  const posted: Hex[] = [];
  const onChain = new Map<Hex, Hex>();
  const answers: (() => Promise<{ tx: Hex } | ReturnType<typeof refuse>>)[] = [
    () => Promise.reject(new Error('no answer')),
    () => Promise.resolve(refuse('internal', 'the model is suspended')),
  ];
  const claims = createClaims({
    ledger: party.ledger,
    poster: {
      isPosted: (claimId) => onChain.get(claimId),
      post(claim) {
        posted.push(claim.root);
        return answers.shift()?.() ?? Promise.resolve({ tx: hex32(9) });
      },
    },
    keccak: keccak256,
    hasArbiter: party.facts.hasArbiter,
    policy: { everySeconds: 1, maxCount: 10 },
    nowMs,
    logger: memoryLogger(),
    onUnarbitrated: () => undefined,
  });
  await charge(1, 3);
  await claims.run();
  expect(posted).toEqual([]);
  party.clock.nowMs += 1_000;
  await claims.run();
  await claims.run();
  expect(posted).toHaveLength(1);
  party.clock.nowMs += 30_001;
  await claims.run();
  expect(posted).toHaveLength(2);
  expect(new Set(posted).size).toBe(1);
  const [claim] = party.ledger.records.claims('planned');
  onChain.set(claim!.claimId, hex32(8));
  await claims.run();
  expect(party.ledger.records.claims('posted')).toEqual([{ ...claim, state: 'posted', tx: hex32(8) }]);
  party.clock.nowMs += 60_000;
  await claims.run();
  expect(posted).toHaveLength(2);
});

test('housekeeping deletes what is of no more use, and never a charge', async () => {
  await charge(1, 2);
  const housekeeping = createHousekeeping({
    ledger: party.ledger,
    common: party.common,
    facts: party.facts,
    nowMs,
    keepMs: 1_000,
    onBacklog: () => undefined,
    onStale: () => undefined,
  });
  party.clock.nowMs += 300_001;
  await housekeeping.look();
  expect(party.ledger.view.channel(channelId)).toMatchObject({ charged: 3n, leased: 0n });
  party.clock.nowMs += 86_400_001;
  await housekeeping.sweep();
  expect(party.ledger.view.lease('id-1')).toBeUndefined();
  expect(party.ledger.view.charge(hex32(1))).toBeDefined();
  expect(party.ledger.records.unpublishedCount()).toBe(2);
});
