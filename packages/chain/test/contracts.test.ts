import type { Hex } from '@cupel/protocol/hex';
import { baseUnits } from '@cupel/protocol/money';
import { TEST_CONTRACTS, address, buildDescriptor, buildReceipt, word } from '@cupel/testing/builders';
import { AbiCoder } from 'ethers';
import { describe, expect, it } from 'vitest';

import type { Log } from '../src/client.ts';
import { executionEvidence, interfaces, marketCalls } from '../src/contracts.ts';
import { decodeError } from '../src/errors.ts';
import { emitters, eventDecoder } from '../src/events.ts';

const calls = marketCalls(TEST_CONTRACTS);
const prices = { inputPerMillion: baseUnits(1n), outputPerMillion: baseUnits(2n), perRequest: baseUnits(3n) };

describe('calls', () => {
  it('encode what the contracts decode', () => {
    const terms = { manifestHash: word(1), verificationRoot: word(2), mode: 'IntegerExecution' as const };
    const call = calls.register(address(9), 'ns/name', terms, prices, 'https://e', ['vision']);
    expect(call.to).toBe(TEST_CONTRACTS.modelRegistry);
    const decoded = interfaces.modelRegistry.decodeFunctionData('register', call.data).toObject(true);
    expect(decoded).toMatchObject({
      slug: 'ns/name',
      terms: { mode: 2n },
      prices: { perRequest: 3n },
      endpoint: 'https://e',
      specializations: { _: 'vision' },
    });
  });

  it('redeem and challenge carry their structs', () => {
    const row = { descriptor: buildDescriptor(), amount: 5n, maxClaimable: 9n, signature: `0x${'12'.repeat(64)}` as Hex };
    const redeem = interfaces.paymentChannels.decodeFunctionData('redeem', calls.redeem([row]).data);
    expect(redeem[0][0].toObject()).toMatchObject({ amount: 5n, maxClaimable: 9n });
    const grant = { versionId: word(1), signer: address(2), notAfter: 3n };
    const dispute = {
      receipt: buildReceipt(),
      receiptSig: '0x01' as Hex,
      grant,
      grantSig: '0x02' as Hex,
      descriptor: buildDescriptor(),
      evidence: '0x03' as Hex,
    };
    const challenge = interfaces.disputeManager.decodeFunctionData('challenge', calls.challenge(dispute).data);
    expect(challenge[0].toObject()).toMatchObject({ receiptSig: '0x01', consentSig: '0x', evidence: '0x03' });
  });

  it('take permit signatures of 64 and 65 bytes alike', () => {
    const r = 'ab'.repeat(32);
    const s = `1${'c'.repeat(63)}`;
    const long: Hex = `0x${r}${s}1c`;
    const compact: Hex = `0x${r}9${s.slice(1)}`;
    const open = (signature: Hex): Hex => calls.openWithPermit(buildDescriptor(), baseUnits(1n), 9n, signature).data;
    expect(open(compact)).toBe(open(long));
    expect(() => open('0x12')).toThrow(/64 or 65 bytes, got 1/);
  });

  it('refuse numbers that do not fit', () => {
    expect(() => calls.deposit(word(1), -1n, 0n)).toThrow(/out-of-bounds/);
    expect(executionEvidence('0x01', address(1), word(2), '0x0304')).toMatch(/^0x0{62}80/);
  });
});

describe('decodeError', () => {
  it('names the error, its numbers and the remedy', () => {
    const data = interfaces.modelRegistry.encodeErrorResult('AlreadyRegistered', [word(7)]) as Hex;
    expect(decodeError(data)).toEqual({
      name: 'AlreadyRegistered',
      args: { modelId: word(7) },
      message: `AlreadyRegistered (modelId ${word(7)}): nothing is to be done: the model is in the registry`,
      data,
    });
  });

  it('reads strings, panics, and whatever else comes', () => {
    expect(decodeError(`0x08c379a0${word(32).slice(2)}${word(2).slice(2)}6e6f${'00'.repeat(30)}`).message).toBe('the contract refused: no');
    expect(decodeError(`0x4e487b71${word(0x11).slice(2)}`)).toMatchObject({ name: 'Panic', args: { code: '0x11' } });
    expect(decodeError('0x').message).toBe('the contract refused without a reason');
    for (const odd of ['0x12', '0x08c379a0', '0xdeadbeef', '0x4e487b71ff'] as const) expect(decodeError(odd).name).toBe('Unknown');
  });

  it('tells errors of one name and other arguments apart', () => {
    expect(decodeError(interfaces.modelRegistry.encodeErrorResult('NotActive(bytes32,uint8)', [word(1), 2]) as Hex).args).toEqual({
      modelId: word(1),
      status: '2',
    });
    expect(decodeError(interfaces.stakeVault.encodeErrorResult('NotActive(bytes32)', [word(1)]) as Hex).args).toEqual({ modelId: word(1) });
  });
});

describe('eventDecoder', () => {
  const decode = eventDecoder(TEST_CONTRACTS);
  const log = (contract: keyof typeof TEST_CONTRACTS, name: string, values: readonly unknown[]): Log => {
    const face = interfaces[contract];
    const { data, topics } = face.encodeEventLog(face.getEvent(name)!, values);
    return {
      address: TEST_CONTRACTS[contract],
      topics: topics as Hex[],
      data: data as Hex,
      blockNumber: 1,
      blockHash: word(1),
      transactionHash: word(2),
      logIndex: 0,
    };
  };

  it('reads events with numbers beyond 2^53', () => {
    expect(decode(log('stakeVault', 'Slashed', [word(1), 2n ** 90n, 1n, 2n, 3n]))).toEqual({
      name: 'Slashed',
      modelId: word(1),
      total: 2n ** 90n,
      toChallenger: 1n,
      toBeneficiary: 2n,
      burned: 3n,
    });
    const descriptor = buildDescriptor();
    expect(decode(log('paymentChannels', 'ChannelOpened', [word(5), descriptor.payer, descriptor.payee, descriptor, 7n]))).toMatchObject({
      channelId: word(5),
      descriptor,
      amount: 7n,
    });
  });

  it('unpacks the rows of a redeem', () => {
    const rows = `0x${word(5).slice(2)}${'00'.repeat(15)}07${word(6).slice(2)}${'00'.repeat(15)}08`;
    expect(decode(log('paymentChannels', 'Redeemed', [address(1), address(2), 15n, rows]))).toMatchObject({
      paid: 15n,
      rows: [
        { channelId: word(5), settled: 7n },
        { channelId: word(6), settled: 8n },
      ],
    });
  });

  it('reads strings that are no UTF-8: anyone may register one', () => {
    // What Solidity emits for a slug of 0x61ff: encoded as `bytes` it has the same layout.
    const withData = (from: Log, type: string, value: unknown): Log => ({
      ...from,
      data: AbiCoder.defaultAbiCoder().encode([type], [value]) as Hex,
    });
    const registered = log('modelRegistry', 'ModelRegistered', [word(1), address(2), '']);
    expect(decode(withData(registered, 'bytes', '0x61ff'))).toEqual({
      name: 'ModelRegistered',
      modelId: word(1),
      owner: address(2),
      slug: 'a\ufffd',
    });
    expect(decode(withData(log('modelRegistry', 'EndpointSet', [word(1), '']), 'bytes', '0xc328'))).toMatchObject({ url: '\ufffd(' });
    expect(decode(withData(log('modelRegistry', 'SpecializationsSet', [word(1), []]), 'bytes[]', ['0xff', '0x6f6b']))).toMatchObject({
      tags: ['\ufffd', 'ok'],
    });
  });

  it('ignores other contracts and unknown events', () => {
    expect(decode({ ...log('stakeVault', 'Locked', [word(1), 1n]), address: address(1) })).toBeUndefined();
    expect(decode({ ...log('stakeVault', 'Locked', [word(1), 1n]), topics: [word(99)] })).toBeUndefined();
    expect(emitters(TEST_CONTRACTS)).toHaveLength(5);
  });

  it('knows every event of the five contracts, or leaves it out on purpose', () => {
    const leftOut = ['ArbiterInstalled', 'EIP712DomainChanged', 'FeeSet', 'FeesCollected', 'Collected', 'Credited'];
    const unknown = (['modelRegistry', 'stakeVault', 'paymentChannels', 'claimManager', 'disputeManager'] as const).flatMap((contract) => {
      const names: string[] = [];
      interfaces[contract].forEachEvent((event) => {
        const values = event.inputs.map((input) =>
          input.baseType === 'array'
            ? []
            : input.baseType === 'tuple'
              ? buildDescriptor()
              : input.type === 'string'
                ? 'x'
                : input.type === 'bytes'
                  ? '0x'
                  : input.type === 'address'
                    ? address(1)
                    : input.type === 'bytes32'
                      ? word(1)
                      : 1n,
        );
        if (decode(log(contract, event.name, values)) === undefined) names.push(event.name);
      });
      return names;
    });
    expect(unknown.filter((name) => !leftOut.includes(name))).toEqual([]);
  });
});
