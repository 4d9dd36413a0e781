import { baseUnits } from '@cupel/protocol/money';
import type { ChannelState, DisputeState } from '@cupel/protocol/wire/projections';
import { kvKey } from '@cupel/protocol/wire/subjects';
import { expect, test } from 'vitest';

import { createFacts, ownChannels } from '../src/facts.ts';
import { channelState, consumer, contracts, descriptorOf, gatewayPayout, head, hex20, hex32, idOf, modelId, payer } from './arrange.ts';

const open = (isOurs: (state: ChannelState) => boolean = () => true) => {
  const upheld: string[] = [];
  const told: string[] = [];
  const facts = createFacts({
    nowMs: () => 1_000,
    staleAfterMs: 15_000,
    rememberedDeposit: () => undefined,
    isOurs,
    onChannel: (channelId) => told.push(channelId),
    onUpheld: (dispute) => upheld.push(dispute.receiptDigest),
  });
  return { facts, upheld, told };
};

const verdict: DisputeState = {
  version: 1,
  receiptDigest: hex32(1),
  modelId,
  challenger: hex20(1),
  beneficiary: payer.address,
  status: 'upheld',
  slashed: 1n,
  refund: 1n,
  tx: hex32(1),
};

test('a verdict that is read before the first head counts from that head, once it is safe', () => {
  const { facts, upheld } = open();
  facts.disputeChanged(kvKey(verdict.receiptDigest), verdict);
  facts.headChanged('safe', head(6, 1_000));
  expect(upheld).toEqual([]);
  facts.headChanged('latest', head(7, 1_000));
  facts.headChanged('latest', head(8, 1_000));
  expect(upheld).toEqual([]);
  facts.headChanged('safe', head(7, 1_000));
  facts.headChanged('safe', head(8, 1_000));
  expect(upheld).toEqual([verdict.receiptDigest]);
});

test('the market’s other channels are neither kept nor told of', () => {
  const ours = descriptorOf(consumer, gatewayPayout);
  const foreign = descriptorOf(consumer, hex20(9));
  const otherToken = { ...descriptorOf(consumer, gatewayPayout, 2), token: hex20(8) };
  const toProvider = descriptorOf(payer, hex20(9));
  const known = descriptorOf(consumer, hex20(9), 3);
  const { facts, told } = open(
    ownChannels({
      payee: gatewayPayout,
      token: contracts.paymentToken,
      payer: payer.address,
      isKnown: (channelId) => channelId === idOf(known),
    }),
  );
  for (const name of ['latest', 'safe']) facts.headChanged(name, head(5, 1_000));
  for (const d of [ours, foreign, otherToken, toProvider, known]) facts.channelChanged(kvKey(idOf(d)), channelState(d));
  expect(facts.channel(idOf(ours))).toMatchObject({ status: 'open', deposit: baseUnits(1_000n) });
  expect(facts.channel(idOf(foreign))).toMatchObject({ status: 'unknown', deposit: 0n });
  expect(told).toEqual([ours, toProvider, known].map(idOf));
});
