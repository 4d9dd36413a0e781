import { hexToBytes } from '@cupel/protocol/hex';
import { address, word } from '@cupel/testing/builders';
import { describe, expect, it } from 'vitest';

import { ZERO_ADDRESS, accusation, afterChallenge, nextStep } from '../src/dispute/decide.ts';
import type { ChallengeOutcome, Dispute } from '../src/dispute/decide.ts';
import { DEPLOYMENT_PROXY, MAX_WEIGHT_BYTES, dataContract } from '../src/dispute/weights.ts';
import { keccak, versionFacts } from './arrange.ts';

const due: Dispute = { digest: word(1), state: 'due', consent: undefined, failures: 0 };
const consented: Dispute = { ...due, consent: { notAfter: 10_000n, signature: `0x${'22'.repeat(64)}` } };

describe('an accusation', () => {
  it('is made of a proved lie that a contract can rule on', () =>
    expect(accusation('lie', versionFacts(), 1000, true)).toEqual({ accuse: true }));
  it.each(['pass', 'suspect', 'unverifiable'] as const)('is never made of the verdict %s', (verdict) =>
    expect(accusation(verdict, versionFacts(), 1000, true).accuse).toBe(false),
  );
  it.each([
    ['disputes are off', versionFacts(), 1000, false],
    ['the mode has no court', versionFacts({ mode: 'Replay' }), 1000, true],
    ['there is no arbiter', versionFacts({ arbiter: ZERO_ADDRESS }), 1000, true],
    ['the weights do not fit a contract', versionFacts(), MAX_WEIGHT_BYTES + 1, true],
  ])('is not made when %s', (_, version, bytes, enabled) => expect(accusation('lie', version, bytes, enabled).accuse).toBe(false));
});

describe('the next step', () => {
  const court = { published: true, nowSeconds: 1000n };
  it('publishes, then asks for consent, then challenges', () => {
    expect(nextStep(due, { ...court, published: false })).toBe('publish');
    expect(nextStep(due, court)).toBe('consent');
    expect(nextStep(consented, court)).toBe('challenge');
  });
  it('asks anew for a consent that is about to end', () => expect(nextStep(consented, { ...court, nowSeconds: 9_900n })).toBe('consent'));
  it.each(['upheld', 'failed', 'falseAccusation'] as const)('rests when it is %s', (state) =>
    expect(nextStep({ ...consented, state }, court)).toBe('rest'),
  );
});

describe('what comes of a challenge', () => {
  const refused = (error: string, simulated = true): ChallengeOutcome => ({ kind: 'refused', simulated, error, message: error });
  it.each<[string, ChallengeOutcome, boolean, object]>([
    ['mined', { kind: 'mined', hash: word(2) }, true, { state: 'upheld', tx: word(2) }],
    ['upheld by somebody else', refused('AlreadyUpheld'), true, { state: 'upheld' }],
    ['unknown', { kind: 'open', message: 'x' }, false, { state: 'due', spent: false }],
    ['unknown, and upheld after all', { kind: 'open', message: 'x' }, true, { state: 'upheld' }],
    ['a right answer', refused('AnswerIsRight'), false, { state: 'falseAccusation' }],
    ['too late', refused('EvidenceOver'), false, { state: 'failed' }],
    ['a consent that ended', refused('ConsentExpired'), false, { state: 'due', renewConsent: true, spent: false }],
    ['failed in its block', refused('NoWeightData', false), false, { state: 'due', spent: true }],
  ])('%s', (_, outcome, upheld, expected) => expect(afterChallenge(consented, outcome, upheld)).toMatchObject(expected));

  it('gives up after three transactions that failed', () =>
    expect(afterChallenge({ ...consented, failures: 2 }, refused('NoWeightData', false), false).state).toBe('failed'));
});

describe('a data contract', () => {
  it('is 0x00 and the weights, at an address that only its maker and its bytes decide', () => {
    const weights = Uint8Array.of(1, 2, 3);
    const contract = dataContract(keccak, DEPLOYMENT_PROXY, weights);
    expect(contract.code).toBe('0x00010203');
    expect(contract.proxyData).toBe(`0x${'00'.repeat(32)}600b380380600b5f395ff300010203`);
    expect(hexToBytes(contract.address)).toHaveLength(20);
    expect(dataContract(keccak, address(1), weights).address).not.toBe(contract.address);
    expect(dataContract(keccak, DEPLOYMENT_PROXY, Uint8Array.of(1, 2, 4)).address).not.toBe(contract.address);
  });
});
