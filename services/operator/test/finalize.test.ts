import type { Block, ChainClient } from '@cupel/chain/client';
import { interfaces, marketCalls } from '@cupel/chain/contracts';
import type { Lane } from '@cupel/chain/lane';
import { marketViews } from '@cupel/chain/views';
import { createStore } from '@cupel/kube/store';
import type { BuiltIn } from '@cupel/kube/resource';
import type { Hex } from '@cupel/protocol/hex';
import { claimState } from '@cupel/protocol/wire/projections';
import { kvKey } from '@cupel/protocol/wire/subjects';
import { signerFromKey } from '@cupel/signing/secp256k1';
import { TEST_CONTRACTS, address, word } from '@cupel/testing/builders';
import { memoryLogger } from '@cupel/testing/logger';
import { memoryBus } from '@cupel/testing/memory-bus';
import { expect, test } from 'vitest';

import { createClaims } from '../src/io/claims.ts';
import { OWNER, Twin, specOf } from './twin.ts';

const STRANGER = address(77);
const [MINE, MINE_OLD, FOREIGN] = [word(1), word(2), word(3)];
const owners = new Map<Hex, Hex>([
  [MINE, OWNER],
  [MINE_OLD, OWNER],
  [FOREIGN, STRANGER],
]);
const head: Block = { number: 9, hash: word(9), parentHash: word(8), timestamp: 1000, baseFeePerGas: 0n };
const never = (): never => {
  throw new Error('not asked in this test');
};

/** Answers the three views that finalizing asks. A version's modelId is the version itself. */
const call: ChainClient['call'] = async ({ data }) => {
  for (const face of [interfaces.modelRegistry, interfaces.claimManager]) {
    const asked = face.parseTransaction({ data });
    if (asked === null) continue;
    const id = String(asked.args[0]) as Hex;
    const result = {
      version: { modelId: id, manifestHash: word(0), verificationRoot: word(0), mode: 2, arbiter: address(0) },
      model: { owner: owners.get(id) ?? address(0), latestVersion: 1, registeredAt: 1, status: 1, faults: 0 },
      claim: { versionId: id, root: id, count: 1, maxPrice: 1, lock: 1, postedAt: 1, finalizableAt: 1, status: 1 },
    }[asked.name];
    if (result !== undefined) return face.encodeFunctionResult(asked.name, [result]) as Hex;
  }
  return never();
};
const client: ChainClient = {
  chainId: 1n,
  head: async () => head,
  call,
  block: never,
  logs: never,
  code: never,
  balance: never,
  nonce: never,
  sendRaw: never,
  receipt: never,
  estimate: never,
  fees: never,
  status: () => undefined,
  [Symbol.asyncDispose]: async () => undefined,
};

test('claims of an older version and of a deleted object are finalized by the key of their owner, claims of strangers by nobody here', async () => {
  await using bus = memoryBus();
  await bus.ensureKv('claims');
  for (const [i, versionId] of [MINE, MINE_OLD, FOREIGN].entries()) {
    await bus.kv('claims', claimState).put(kvKey(word(100 + i)), {
      version: 1,
      claimId: word(100 + i),
      versionId,
      root: versionId,
      count: 1,
      maxPrice: 1n,
      locked: 1n,
      finalizableAt: 500,
      status: 'open',
      postedTx: word(5),
    });
  }
  const modelProviders = createStore<BuiltIn>();
  const markets = createStore<BuiltIn>();
  const name = { name: 'digits', namespace: 'honest' };
  modelProviders.put({
    apiVersion: 'cupel.dev/v1alpha1',
    kind: 'ModelProvider',
    metadata: { ...name, uid: 'u', resourceVersion: '1' },
    spec: specOf(),
    status: { onChain: { modelId: MINE, versionId: MINE } },
  });
  const market = new Twin().market as { metadata: object; spec: Record<string, unknown> };
  markets.put({ ...market, apiVersion: 'cupel.dev/v1alpha1', kind: 'Market', metadata: { name: 'local', uid: 'm', resourceVersion: '1' } });

  const sent: string[] = [];
  const signer = signerFromKey(word(42));
  const lane: Lane = {
    address: signer.address,
    async send({ key }) {
      sent.push(key);
      return { kind: 'unknown', message: 'a test' };
    },
    outcome: async () => undefined,
    status: () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
  const claims = createClaims({
    bus,
    informers: { modelProviders: { store: modelProviders }, markets: { store: markets } },
    connections: {
      of: async () => ({ client, views: marketViews(client, TEST_CONTRACTS), calls: marketCalls(TEST_CONTRACTS) }),
    },
    lanes: { of: () => lane },
    keys: {
      signer: async () => ({ state: 'present', signer, held: true, secret: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } } }),
    },
    leads: () => true,
    logger: memoryLogger(),
  });
  await claims.finalizeDue();
  expect(sent.toSorted()).toEqual([`finalize:${word(100)}`, `finalize:${word(101)}`]);
  modelProviders.remove(name);
  sent.length = 0;
  await claims.finalizeDue();
  expect(sent.toSorted()).toEqual([`finalize:${word(100)}`, `finalize:${word(101)}`]);
});
