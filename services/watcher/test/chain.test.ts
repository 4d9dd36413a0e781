import type { Block, Log } from '@cupel/chain/client';
import { interfaces } from '@cupel/chain/contracts';
import type { Hex } from '@cupel/protocol/hex';
import { keccak256 } from '@cupel/signing/keccak';
import { TEST_CONTRACTS } from '@cupel/testing/builders';
import { describe, expect, it } from 'vitest';

import { chainReader } from '../src/io/chain.ts';

const word = (n: number): Hex => `0x${n.toString(16).padStart(64, '0')}`;
const block: Block = { number: 1, hash: word(9), parentHash: word(8), timestamp: 1, baseFeePerGas: 0n };

const locked = (logIndex: number, data?: Hex): Log => {
  const face = interfaces.stakeVault;
  const encoded = face.encodeEventLog(face.getEvent('Locked')!, [word(logIndex), 5n]);
  return {
    address: TEST_CONTRACTS.stakeVault,
    topics: encoded.topics as Hex[],
    data: data ?? (encoded.data as Hex),
    blockNumber: 1,
    blockHash: block.hash,
    transactionHash: word(2),
    logIndex,
  };
};

describe('the chain reader', () => {
  it('leaves out a log that it cannot read, tells of it, and reads the others', async () => {
    const left: number[] = [];
    const reader = chainReader({
      client: {
        head: async () => block,
        block: async () => block,
        logs: async () => [locked(1), locked(2, '0x12'), locked(3)],
      },
      contracts: TEST_CONTRACTS,
      keccak: keccak256,
      confirmations: undefined,
      onUndecodable: (log) => void left.push(log.logIndex),
    });
    const ids = (events: readonly { event: object }[]) => events.map(({ event }) => 'modelId' in event && event.modelId);
    expect(ids(await reader.eventsOf(block))).toEqual([word(1), word(3)]);
    expect(ids(await reader.eventsBetween(0, 1))).toEqual([word(1), word(3)]);
    expect(left).toEqual([2, 2]);
  });
});
