import type { AnswerParams } from '@cupel/protocol/wire/receipt';
import { recover } from '@cupel/signing/secp256k1';
import { MODEL_ID, RECEIPT_SIGNER, TEST_CHAIN_ID, TEST_CONTRACTS, address, testSigner, word } from '@cupel/testing/builders';
import { describe, expect, it } from 'vitest';

import { findingOf } from '../src/defend/finding.ts';
import { judgeChat } from '../src/judge/chat.ts';
import type { ChatCase } from '../src/judge/chat.ts';
import { evidenceChecks } from '../src/judge/evidence.ts';
import { judgeInteger } from '../src/judge/integer.ts';
import { reputationOf, scoreOf } from '../src/judge/reputation.ts';
import { START, isSuspect, observe } from '../src/judge/sequence.ts';
import { judged } from '../src/judge/verdict.ts';
import { eventOf, keccak, versionFacts } from './arrange.ts';

describe('an answer of an integer model', () => {
  const right = {
    receipt: { inputHash: word(1), outputHash: word(2) },
    kept: { inputHash: word(1), outputHash: word(2) },
    right: word(2),
    ownRoot: word(3),
    registeredRoot: word(3),
  };
  it('passes when it is equal bit by bit', () => expect(judgeInteger(right).verdict).toBe('pass'));
  it('is a lie when the weights give another', () => expect(judgeInteger({ ...right, right: word(9) }).verdict).toBe('lie'));

  it.each([
    ['another input was kept', { kept: { inputHash: word(9), outputHash: word(2) } }],
    ['another output was kept', { kept: { inputHash: word(1), outputHash: word(9) } }],
    ['the registry has another root', { registeredRoot: word(9) }],
    ['the model does not take the input', { right: undefined }],
  ])('is never a lie when %s', (_, more) => expect(judgeInteger({ ...right, right: word(9), ...more }).verdict).toBe('unverifiable'));
});

describe('an answer of a chat', () => {
  const own = { text: 'A small dish for assaying.', finishReason: 'stop', promptTokens: 12, completionTokens: 6 };
  const chat = (more: Partial<ChatCase> & { readonly text?: string; readonly params?: AnswerParams }) =>
    judgeChat({
      params: { seed: 7, temperature: 0 },
      charged: { inputUnits: 12n, outputUnits: 6n, outcome: 0n },
      delivered: { text: more.text ?? own.text, finishReason: 'stop' },
      own,
      sequence: START,
      ...more,
    });

  it('passes with equal text and usage', () => expect(chat({}).verdict).toBe('pass'));
  it('is suspect when a greedy one differs', () => expect(chat({ text: 'A big pot.' }).verdict).toBe('suspect'));
  it('is suspect when more was charged than was said', () =>
    expect(chat({ charged: { inputUnits: 12n, outputUnits: 60n, outcome: 0n } }).verdict).toBe('suspect'));
  it('is suspect when it ends otherwise', () =>
    expect(chat({ delivered: { text: own.text, finishReason: 'length' } }).verdict).toBe('suspect'));

  it('passes as a part when the client left', () => {
    const charged = { inputUnits: 12n, outputUnits: 3n, outcome: 1n };
    expect(chat({ charged, delivered: { text: 'A small', finishReason: undefined } }).verdict).toBe('pass');
    expect(chat({ charged, delivered: { text: 'A big', finishReason: undefined } }).verdict).toBe('suspect');
  });

  it('weighs sampled ones that differ: one is nothing, many are another model', () => {
    const params = { seed: 7, temperature: 0.8 };
    let sequence = START;
    const verdicts = Array.from({ length: 8 }, () => {
      const judgement = chat({ params, text: 'Quite another text.', sequence });
      sequence = judgement.sequence;
      return judgement.verdict;
    });
    expect(verdicts[0]).toBe('unverifiable');
    expect(verdicts.at(-1)).toBe('suspect');
  });

  it('has no verdict that slashes, whatever comes', () => {
    for (const text of ['', own.text, 'x', '\u0000'])
      for (const temperature of [0, 0.8, undefined])
        for (const outcome of [0n, 1n, 2n]) {
          const params = temperature === undefined ? {} : { temperature };
          expect(chat({ text, params, charged: { inputUnits: 1n, outputUnits: 1n, outcome } }).verdict).not.toBe('lie');
        }
  });
});

describe('the sequential test', () => {
  it('calls an honest engine that differs once in a thousand tokens nothing', () => {
    let sequence = START;
    for (let i = 0; i < 1000; i++) {
      sequence = observe(sequence, 1000, true);
      expect(isSuspect(sequence)).toBe(false);
    }
  });
  it('calls a swapped model that differs once in ten tokens suspect, also after a long honest past', () => {
    let sequence = observe(START, 1_000_000, false);
    for (let i = 0; i < 10; i++) sequence = observe(sequence, 10, true);
    expect(isSuspect(sequence)).toBe(true);
  });
});

describe('evidence', () => {
  const { check, digestOf } = evidenceChecks(keccak, recover, BigInt(TEST_CHAIN_ID), TEST_CONTRACTS.modelRegistry);
  const event = eventOf(1);
  it('holds for a receipt as an edge sends it', () => {
    expect(digestOf(event.envelope)).toBe(event.receiptDigest);
    expect(check(event, versionFacts())).toBeUndefined();
  });
  it.each([
    ['another digest', { ...event, receiptDigest: word(1) }],
    ['another model', { ...event, modelId: word(1) }],
    ['another channel', { ...event, descriptor: { ...event.descriptor, salt: word(8) } }],
    ['other parameters', { ...event, envelope: { ...event.envelope, params: { seed: 2 } } }],
    ['a signature of nobody', { ...event, envelope: { ...event.envelope, signature: `0x${'11'.repeat(64)}` as const } }],
    ['a grant of somebody else', eventOf(1, { owner: testSigner(77) })],
    ['a grant for another version', eventOf(1, { grant: { versionId: word(5) } })],
    ['a grant that had ended', eventOf(1, { grant: { notAfter: 1n } })],
    ['a key that was not granted', eventOf(1, { grant: { signer: address(5) }, receiptSigner: RECEIPT_SIGNER })],
  ])('does not hold with %s', (_, bad) => expect(check(bad, versionFacts())).toBeTypeOf('string'));
});

describe('reputation', () => {
  const tally = { pass: 100, lie: 0, suspect: 0, unverifiable: 5 };
  it('falls hard at a lie, and good answers do not heal it', () => {
    expect(scoreOf({ ...tally, lie: 1 })).toBeLessThan(0.011);
    expect(scoreOf({ ...tally, pass: 1_000_000, lie: 1 })).toBeLessThan(0.011);
  });
  it('is worn by suspicions and healed by good answers', () => {
    const worn = scoreOf({ ...tally, suspect: 10 });
    expect(worn).toBeLessThan(scoreOf(tally));
    expect(scoreOf({ ...tally, pass: 10_000, suspect: 10 })).toBeGreaterThan(worn);
  });
  it('does not count what could not be checked', () =>
    expect(reputationOf(MODEL_ID, tally, true)).toMatchObject({ checked: 100, passed: 100, lies: 0, unarbitrated: true }));
});

describe("a defender's finding", () => {
  it.each([
    ['lie', 'right'],
    ['pass', 'wrong'],
    ['suspect', 'unverifiable'],
    ['unverifiable', 'unverifiable'],
  ] as const)('own verdict %s → %s', (verdict, finding) => expect(findingOf(judged(verdict, 'x')).finding).toBe(finding));
});
