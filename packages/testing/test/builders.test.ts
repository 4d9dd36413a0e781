import { RECEIPT, SIGNER_GRANT, digester } from '@cupel/protocol/eip712';
import { engine } from '@cupel/protocol/wire/bus';
import { channelState, headState, registryEntry, stakeState } from '@cupel/protocol/wire/projections';
import { receiptEnvelope } from '@cupel/protocol/wire/receipt';
import { encodeJson } from '@cupel/protocol/wire/scalars';
import { keccak256 } from '@cupel/signing/keccak';
import { recover } from '@cupel/signing/secp256k1';
import { describe, expect, it } from 'vitest';

import {
  OWNER,
  RECEIPT_SIGNER,
  buildChannelState,
  buildEngine,
  buildEnvelope,
  buildHead,
  buildRegistryEntry,
  buildStakeState,
  testDomain,
  word,
} from '../src/builders.ts';

describe('builders', () => {
  it('build what the wire schemas read back', () => {
    const wire = (value: object): unknown => JSON.parse(encodeJson(value));
    expect(receiptEnvelope.parse(wire(buildEnvelope()))).toEqual(buildEnvelope());
    expect(registryEntry.parse(wire(buildRegistryEntry()))).toEqual(buildRegistryEntry());
    expect(channelState.parse(wire(buildChannelState(word(1))))).toEqual(buildChannelState(word(1)));
    expect(stakeState.parse(wire(buildStakeState()))).toEqual(buildStakeState());
    expect(headState.parse(wire(buildHead()))).toEqual(buildHead());
    expect(engine.parse(wire(buildEngine()))).toEqual(buildEngine());
  });

  it('sign receipts and grants with the right keys', () => {
    const { receipt, signature, grant } = buildEnvelope();
    const domain = testDomain('ModelRegistry');
    expect(recover(digester(keccak256, RECEIPT, domain)(receipt), signature)).toBe(RECEIPT_SIGNER.address);
    expect(recover(digester(keccak256, SIGNER_GRANT, domain)(grant), grant.signature)).toBe(OWNER.address);
  });
});
