import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import type { Hex } from '@cupel/protocol/hex';
import { disputeState, reputation } from '@cupel/protocol/wire/projections';
import { kvKey, receiptsSubject } from '@cupel/protocol/wire/subjects';
import { eventually } from '@cupel/testing/wait';
import { expect, test } from 'vitest';

import { CHAT_SHA256, DIGITS, DIGITS_SHA256, EDGE_SCOPE, SCOPE, openWorld, payer } from './verifier/world.ts';
import type { RedrawJson, World } from './verifier/world.ts';

const settled = (world: World, receipts: number): Promise<RedrawJson> =>
  eventually(
    'every receipt to be drawn and judged',
    async () => {
      const drawn = await world.redraw();
      const { out } = drawn;
      return (
        out['receipts'] === receipts &&
        out['undrawn'] === 0 &&
        out['pendingVerdicts'] === 0 &&
        (out['disputes'] as { open: number }).open === 0 &&
        drawn
      );
    },
    40_000,
  );

test(
  'a lie is upheld within 8 s of its answer on a chain with 1 s blocks; honest answers pass and cost nobody anything',
  { timeout: 120_000 },
  async () => {
    await using world = await openWorld();
    const { market } = world;
    const { contracts } = market.deployment;
    const honest = await world.register(1, 'honest/digits', 'IntegerExecution');
    const cheat = await world.register(2, 'cheat/digits', 'IntegerExecution');
    const stakeBefore = { honest: await market.views.stake(honest.modelId), cheat: await market.views.stake(cheat.modelId) };
    await world.blocksEverySecond();
    const verifier = await world.start({ epochSeconds: 3 });
    expect(await world.sentTo(world.verifier)).toBe(0);

    for (let i = 0; i < 3; i++) await world.answerDigits(honest);
    const started = performance.now();
    const lie = await world.answerDigits(cheat, { lie: true });
    await eventually('the verdict', async () => (await world.verdictOf(lie.digest)) === 'upheld', 30_000);
    expect((performance.now() - started) / 1000).toBeLessThan(8);

    const { out, code } = await settled(world, 4);
    expect(code).toBe(0);
    expect(out).toMatchObject({
      receipts: 4,
      sampled: 4,
      passed: 3,
      lies: 1,
      suspect: 0,
      unverifiable: 0,
      disputes: { upheld: 1, open: 0, failed: 0, falseAccusations: 0 },
      lieDigests: [lie.digest],
      missEveryLie: 0,
    });
    expect(out.epochs.every((e) => e.reproduced)).toBe(true);

    const after = await market.views.stake(cheat.modelId);
    expect((await market.views.model(cheat.modelId)).status).toBe('suspended');
    expect(after.free).toBeLessThanOrEqual(stakeBefore.cheat.free / 2n);
    expect(stakeBefore.cheat.bond - after.bond).toBe(1000n);
    expect(await market.views.balance(contracts.paymentToken, payer.address)).toBe(1000n);
    expect(await market.views.balance(contracts.stakeToken, world.verifier)).toBeGreaterThan(0n);
    expect((await market.views.model(honest.modelId)).status).toBe('active');
    expect(await market.views.stake(honest.modelId)).toEqual(stakeBefore.honest);
    expect(await world.sentTo(contracts.disputeManager)).toBe(1);

    const scores = world.bus.kv('reputation', reputation);
    const [good, bad] = await eventually('the reputations', async () => {
      const both = [await scores.get(kvKey(honest.modelId)), await scores.get(kvKey(cheat.modelId))] as const;
      return both[0]?.passed === 3 && both[1]?.lies === 1 && [both[0], both[1]];
    });
    expect(good!.score).toBeGreaterThan(0.75);
    expect(bad!.score).toBeLessThan(0.01);
    expect(good!.unarbitrated).toBe(false);

    // At rest nothing is sent.
    const commits = await world.sentTo(world.verifier);
    await new Promise((resolve) => setTimeout(resolve, 4000));
    expect(await world.sentTo(world.verifier)).toBe(commits);
    expect(await verifier.stop()).toBe(0);

    // After the end, from a file without its write-ahead log, as an export, and with one bit of the story changed.
    expect((await world.redraw()).out).toEqual(out);
    const exported = spawnSync(process.execPath, [
      new URL('../../services/verifier/src/cli/redraw.ts', import.meta.url).pathname,
      'export',
      '--state',
      world.statePath,
    ]);
    const json = join(world.folder, 'export.json');
    writeFileSync(json, exported.stdout);
    expect((await world.redraw(json)).out).toEqual(out);
    const tamper = async (change: string): Promise<RedrawJson> => {
      const copy = join(world.folder, 'tampered.sqlite');
      copyFileSync(world.statePath, copy);
      const db = new DatabaseSync(copy);
      db.exec(change);
      db.close();
      return world.redraw(copy);
    };
    const undrawn = await tamper(`UPDATE receipts SET drawn = 0 WHERE digest = '${lie.digest}'`);
    expect([undrawn.code, undrawn.out.epochs.some((e) => !e.reproduced)]).toEqual([1, true]);
    const dropped = await tamper(`PRAGMA foreign_keys = OFF; DELETE FROM receipts WHERE digest = '${lie.digest}'`);
    expect([dropped.code, dropped.out.epochs.flatMap((e) => e.problems).join()]).toEqual([1, expect.stringContaining('set root')]);
    const otherSeed = await tamper(`UPDATE epochs SET seed = '0x${'11'.repeat(32)}'`);
    expect([otherSeed.code, otherSeed.out.epochs[0]?.reproduced]).toEqual([1, false]);
    const otherBeacon = await tamper(`UPDATE epochs SET beacon_hash = '0x${'22'.repeat(32)}'`);
    expect([otherBeacon.code, otherBeacon.out.epochs.flatMap((e) => e.problems).join()]).toEqual([
      1,
      expect.stringContaining('the hash of block'),
    ]);
  },
);

test(
  'what proves nothing accuses nobody: a damaged record, a payload that is gone, a receipt told twice',
  { timeout: 90_000 },
  async () => {
    await using world = await openWorld();
    const cheat = await world.register(2, 'cheat/digits', 'IntegerExecution');
    const otherRoot = await world.register(3, 'other/digits', 'IntegerExecution', { verificationRoot: `0x${'ab'.repeat(32)}` });
    await world.blocksEverySecond();
    await world.start();
    await world.answerDigits(cheat, { damaged: true });
    await world.answerDigits(cheat, { lie: true, damaged: true });
    await world.answerDigits(cheat, { lie: true, kept: false });
    await world.answerDigits(otherRoot, { lie: true });
    const { event } = await world.answerDigits(cheat);
    await world.bus.publish(receiptsSubject(SCOPE), event, { msgId: 'told again' });
    // Of another chain: it does not hash to its digest here.
    await world.bus.publish(receiptsSubject(SCOPE), { ...event, receiptDigest: `0x${'99'.repeat(32)}` }, { msgId: 'odd' });
    const { out, code } = await settled(world, 5);
    expect(code).toBe(0);
    expect(out).toMatchObject({
      receipts: 5,
      sampled: 5,
      passed: 1,
      lies: 0,
      unverifiable: 4,
      disputes: { upheld: 0, open: 0, failed: 0, falseAccusations: 0 },
    });
    expect(await world.sentTo(world.market.deployment.contracts.disputeManager)).toBe(0);
  },
);

test(
  'kill −9 between consent and challenge, and with the challenge in the pool: each lie is challenged exactly once',
  { timeout: 150_000 },
  async () => {
    await using world = await openWorld();
    const cheat = await world.register(2, 'cheat/digits', 'IntegerExecution');
    const { disputeManager } = world.market.deployment.contracts;
    await world.blocksEverySecond();
    const lies: Hex[] = [];
    // Without new blocks nothing that is sent after the consent can be in one when the process dies: 0 ms before, 700 ms with it in the pool.
    for (const delayMs of [0, 15, 60, 700]) {
      let verifier = await world.start();
      const consented = new Promise<void>((resolve) => {
        world.onConsent = async () => {
          await world.anvil.rpc('evm_setIntervalMining', [0]);
          resolve();
        };
      });
      const { digest } = await world.answerDigits(cheat, { lie: true });
      await consented;
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await verifier.kill();
      world.onConsent = async () => undefined;
      expect(await world.verdictOf(digest)).toBe('none');
      lies.push(digest);
      await world.anvil.rpc('evm_setIntervalMining', [1]);
      verifier = await world.start();
      await eventually('the verdict', async () => (await world.verdictOf(digest)) === 'upheld', 30_000);
      const state = await settled(world, lies.length);
      expect(state.out).toMatchObject({
        lies: lies.length,
        disputes: { upheld: lies.length, open: 0, failed: 0, falseAccusations: 0 },
      });
      await verifier.kill();
    }
    expect(await world.sentTo(disputeManager)).toBe(lies.length);
    expect((await world.redraw()).code).toBe(0);
  },
);

test(
  'chats: equal text passes, another text or a wrong bill is suspect, and nothing of it reaches a contract',
  { timeout: 90_000 },
  async () => {
    await using world = await openWorld();
    const bodies: Record<string, unknown>[] = [];
    const engine = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        bodies.push(JSON.parse(text) as Record<string, unknown>);
        const answer = {
          choices: [{ index: 0, finish_reason: 'stop', message: { content: 'the right words' } }],
          usage: { prompt_tokens: 3, completion_tokens: 5 },
        };
        response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
      });
    });
    await new Promise<void>((resolve) => engine.listen(0, '127.0.0.1', resolve));
    const address = engine.address();
    const engineUrl = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
    const model = await world.register(1, 'honest/chat', 'Replay', { manifestSha256: CHAT_SHA256 });
    const digits = await world.register(2, 'honest/digits', 'IntegerExecution');
    const stake = await world.market.views.stake(model.modelId);
    await world.blocksEverySecond();
    const models = [
      { kind: 'chat', manifestSha256: CHAT_SHA256, engineUrl },
      { kind: 'integer', manifestSha256: DIGITS_SHA256, path: DIGITS },
    ];
    await world.start({ models });

    await world.answerChat(model, { params: { seed: 7, temperature: 0 }, text: 'the right words' });
    const greedy = await world.answerChat(model, { params: { seed: 7, temperature: 0 }, text: 'the wrong words' });
    const bill = await world.answerChat(model, { params: { seed: 7, temperature: 0 }, text: 'the right words', tokens: 9 });
    await world.answerChat(model, { params: { seed: 8, temperature: 1 }, text: 'some other words' });
    await world.answerDigits(digits, { lie: true, kept: false });
    const { out, code } = await settled(world, 5);
    expect(code).toBe(0);
    // One sampled answer that differs decides nothing; a payload that is gone proves nothing.
    expect(out).toMatchObject({ passed: 1, suspect: 2, unverifiable: 2, lies: 0, disputes: { upheld: 0, open: 0, failed: 0 } });
    expect(bodies.find((b) => b['seed'] === 7)).toMatchObject({
      seed: 7,
      stream: false,
      max_tokens: 16,
      messages: [{ role: 'user', content: 'hi' }],
    });
    for (const { digest } of [greedy, bill]) expect(await world.verdictOf(digest)).toBe('none');
    expect(await world.market.views.stake(model.modelId)).toEqual(stake);
    expect(await world.sentTo(world.market.deployment.contracts.disputeManager)).toBe(0);
    const score = await eventually('the reputation', async () => {
      const found = await world.bus.kv('reputation', reputation).get(kvKey(model.modelId));
      return found?.suspect === 2 && found;
    });
    expect(score).toMatchObject({ checked: 3, passed: 1, lies: 0, unarbitrated: true });
    expect(score.score).toBeLessThan(0.75);
    engine.close();
  },
);

test('a defender says whether a verdict against its model was right', { timeout: 90_000 }, async () => {
  await using world = await openWorld();
  const model = await world.register(1, 'honest/digits', 'IntegerExecution');
  const defender = await world.start({ role: 'defender', dispute: { enabled: false } });
  const lie = await world.answerDigits(model, { lie: true, scope: EDGE_SCOPE });
  const truth = await world.answerDigits(model, { scope: EDGE_SCOPE });
  const kv = world.bus.kv('disputes', disputeState);
  const upheld = (receiptDigest: Hex) =>
    kv.put(kvKey(receiptDigest), {
      version: 1,
      receiptDigest,
      modelId: model.modelId,
      challenger: payer.address,
      status: 'upheld',
      slashed: 1n,
      refund: 1n,
      tx: `0x${'77'.repeat(32)}`,
    });
  await upheld(lie.digest);
  await upheld(truth.digest);
  const findings = await eventually(
    'both findings',
    () => {
      const lines = defender
        .log()
        .split('\n')
        .filter((line) => line.includes('"finding"'))
        .map((line) => JSON.parse(line) as { receiptDigest: Hex; finding: string });
      if (lines.length < 2) throw new Error(defender.log());
      return new Map(lines.map((line) => [line.receiptDigest, line.finding]));
    },
    30_000,
  );
  expect(findings).toEqual(
    new Map([
      [lie.digest, 'right'],
      [truth.digest, 'wrong'],
    ]),
  );
  expect(await world.sentTo(world.verifier)).toBe(0);

  const second = world.launch({ role: 'defender' });
  await eventually('the second process to end', () => second.child.exitCode !== null);
  expect([second.child.exitCode, second.log()]).toEqual([1, expect.stringContaining('in use by another process')]);
  const flipped = join(world.folder, 'flipped');
  mkdirSync(flipped);
  cpSync(DIGITS, flipped, { recursive: true });
  const weights = readFileSync(join(flipped, 'weights.bin'));
  weights[1000]! ^= 1;
  writeFileSync(join(flipped, 'weights.bin'), weights);
  const wrong = world.launch({ models: [{ kind: 'integer', manifestSha256: DIGITS_SHA256, path: flipped }] });
  await eventually('the process with wrong weights to end', () => wrong.child.exitCode !== null);
  expect([wrong.child.exitCode, wrong.log()]).toEqual([
    1,
    expect.stringMatching(/weights\.bin: size or sha256 is not what the manifest says/),
  ]);
});
