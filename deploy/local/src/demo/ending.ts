import { formatDecimal } from '@cupel/protocol/money';
import type { Hex } from '@cupel/protocol/hex';

import type { Progress } from '../progress.ts';
import { asNodeRoot } from '../rootless.ts';
import { chainFacts, liesTold, waitForJustice } from './aftermath.ts';
import type { Redraw } from './aftermath.ts';
import { askDigits, loadSamples } from './ask.ts';
import type { Answer } from './ask.ts';
import { Checks } from './checks.ts';
import { firstVersionOf } from './grants.ts';
import { readIssueTimes, readLedger } from './ledgers.ts';
import { waitFor } from './kubectl.ts';
import { readBooks } from './purses.ts';
import { allTransactions } from './rpc.ts';
import type { Told } from './story.ts';
import { waitForCondition } from './story.ts';
import { renderTable, signed } from './table.ts';
import { transactionName } from './transactions.ts';
import { SAMPLE_RATE } from './install.ts';

const dollars = (base: bigint): string => formatDecimal(base, 6);
const stake = (wei: bigint): string => formatDecimal(wei, 18);
const MICRO = 1_000_000n;

/** Prices of the story in micro: what the client can compute by itself. */
const priceOf = (answer: Answer, cheapId: Hex): bigint =>
  answer.kind === 'chat'
    ? answer.inputUnits * 200_000n + answer.outputUnits * 600_000n
    : (answer.modelId === cheapId ? 500n : 1000n) * MICRO;

export interface Ending {
  readonly table: string;
  readonly checks: Checks;
}

const ledgersOf = async (told: Told) => {
  const at = (path: string) => readLedger(`${told.volumes}/ledgers/${path}`);
  return {
    gateway: await at('gateway/data-gateway-payment-0'),
    honest: await at('honest/data-edge-payment-0'),
    cheat: await at('cheat/data-edge-payment-0'),
  };
};

/** Steps 5 to 7: justice, ten more digits, settlement, and the table. */
export const tellTheEnding = async (progress: Progress, told: Told): Promise<Ending> => {
  const { stage, management, cluster } = told;
  const ids = {
    digits: firstVersionOf(stage.accounts.honest.owner.address, 'honest/digits'),
    cheap: firstVersionOf(stage.accounts.cheat.owner.address, 'cheat/digits-cheap'),
    assistant: firstVersionOf(stage.accounts.honest.owner.address, 'honest/assistant'),
  };
  const firstAnswers = told.answers.length;
  await progress.step('the verifier draws, replays and disputes', () => waitForJustice(told, firstAnswers, 120_000));
  await progress.step('the gateway avoids the cheat: 10 more digits', async (note) => {
    await waitForCondition(cluster, 'cheat', 'digits-cheap', 'Slashed', 'True', 30_000);
    const samples = await loadSamples();
    told.answers.push(...(await askDigits(told.baseUrl, told.apiKey, samples.slice(60, 70), note)));
  });
  const redrawn: Redraw = await progress.step('the last ten are drawn too', () => waitForJustice(told, firstAnswers + 10, 60_000));
  await progress.step('claims become final, vouchers are redeemed', async (note) => {
    note('claims');
    await waitFor(
      'every honest claim to be final',
      async () => {
        const facts = await chainFacts(told);
        const honest = facts.posted.filter((c) => c.versionId === ids.digits.versionId);
        return honest.length > 0 && honest.every((c) => facts.finalClaims.includes(c.claimId)) ? true : undefined;
      },
      60_000,
      1000,
    );
    note('vouchers');
    await Promise.all(Object.values(management).map((m) => m('POST', '/settle', {})));
    const expected = await ledgersOf(told);
    await waitFor(
      'the redeems to be mined',
      async () => {
        const facts = await chainFacts(told);
        const paid = facts.redeemed.reduce((sum, r) => sum + r.paid, 0n);
        const due = expected.gateway.redeemable + expected.honest.redeemable + expected.cheat.redeemable;
        return paid >= due ? true : undefined;
      },
      30_000,
      500,
    );
  });
  return progress.step('count', () => countUp(told, redrawn, ids.digits.modelId, ids.cheap.modelId));
};

const countUp = async (told: Told, redrawn: Redraw, digitsId: Hex, cheapId: Hex): Promise<Ending> => {
  const { stage, rpc, answers, before } = told;
  const { accounts, contracts } = stage;
  const after = await readBooks(rpc, accounts, contracts);
  const ledgers = await ledgersOf(told);
  const facts = await chainFacts(told);
  const told_ = await liesTold(told);
  const checks = new Checks();

  const spent = answers.reduce((sum, a) => sum + priceOf(a, cheapId), 0n);
  const toCheat = answers.filter((a) => a.modelId === cheapId).reduce((sum, a) => sum + priceOf(a, cheapId), 0n);
  const refunds = facts.upheld.reduce((sum, u) => sum + u.refund, 0n);
  const paidTo = (payee: Hex) => facts.redeemed.filter((r) => r.payee === payee).reduce((sum, r) => sum + r.paid, 0n);

  checks.equal('gateway ledger: charged = what the client computes from its own usage (micro)', ledgers.gateway.charged, spent);
  checks.equal('gateway ledger: credited = refunds of upheld disputes (micro)', ledgers.gateway.credited, refunds * MICRO);
  checks.equal('gateway ledger: receipted by providers = charged to the consumer (micro)', ledgers.gateway.receipted, spent);
  checks.equal(
    'edge ledgers together = receipted at the gateway (micro)',
    ledgers.honest.charged + ledgers.cheat.charged,
    ledgers.gateway.receipted,
  );
  checks.equal('edge of cheat = what the client sent there (micro)', ledgers.cheat.charged, toCheat);
  checks.equal('requests in the gateway ledger = answers of the client', ledgers.gateway.requests, answers.length);
  checks.equal('chats show as Unarbitrated at their edge', ledgers.honest.unarbitrated, answers.filter((a) => a.kind === 'chat').length);
  checks.equal('redeemed for the gateway = its ledger', paidTo(accounts.gateway.payout.address), ledgers.gateway.redeemable);
  checks.equal('redeemed for honest = its ledger', paidTo(accounts.honest.payout.address), ledgers.honest.redeemable);
  checks.equal('redeemed for cheat = its ledger', paidTo(accounts.cheat.payout.address), ledgers.cheat.redeemable);
  checks.equal(
    'test dollars: nothing made, nothing lost',
    sum(after.purses.map((p) => p.dollars)),
    sum(before.purses.map((p) => p.dollars)),
  );
  const burned = facts.slashes.reduce((total, s) => total + s.burned, 0n);
  checks.equal('stake token: supply fell by what was burned', before.stakeSupply - after.stakeSupply, burned);
  checks.holds('at least one lie was told', told_.length > 0, 'none');
  checks.holds(
    'every lie found was upheld',
    redrawn.disputes.upheld === redrawn.lies && facts.upheld.length === redrawn.lies,
    `${redrawn.lies} found, ${facts.upheld.length} upheld`,
  );
  checks.holds('every lie found was told', redrawn.lies <= told_.length, `${redrawn.lies} found, ${told_.length} told`);
  checks.holds(
    'only the cheat was slashed',
    facts.upheld.every((u) => u.modelId === cheapId),
    'another model was',
  );
  checks.equal('false accusations', redrawn.disputes.falseAccusations, 0);
  checks.holds(
    'the sample can be drawn again',
    redrawn.epochs.every((e) => e.reproduced),
    'an epoch differs',
  );
  checks.holds('missing every lie has p < 1e-6', redrawn.missEveryLie < 1e-6, String(redrawn.missEveryLie));
  checks.holds(
    'the last ten digits were served by the honest provider',
    answers.slice(-10).every((a) => a.modelId === digitsId),
    'the cheat served some',
  );

  const moneyRows = after.purses.map((p, i) => {
    const b = before.purses[i]!;
    return [p.name, dollars(b.dollars), dollars(p.dollars), signed(p.dollars - b.dollars, dollars), signed(p.stake - b.stake, stake)];
  });
  const transactions = new Map<string, { count: number; gas: bigint; most: bigint }>();
  for (const t of await allTransactions(rpc)) {
    const name = transactionName(t, contracts);
    const row = transactions.get(name) ?? { count: 0, gas: 0n, most: 0n };
    transactions.set(name, { count: row.count + 1, gas: row.gas + t.gasUsed, most: t.gasUsed > row.most ? t.gasUsed : row.most });
  }
  const issued = await readIssueTimes(`${told.volumes}/ledgers/gateway/data-gateway-payment-0`);
  const slowest = Math.max(0, ...facts.upheld.map((u) => u.at - (issued.get(u.digest) ?? u.at)));
  const slash = facts.slashes[0];
  const facts_ = [
    [
      'answers',
      `${answers.filter((a) => a.kind === 'chat').length} chats (${answers.filter((a) => a.streamed).length} streamed), ${answers.filter((a) => a.kind === 'digits').length} digits`,
    ],
    ['digits read right', `${answers.filter((a) => a.right).length} of ${answers.filter((a) => a.kind === 'digits').length}`],
    ['served by the cheat', `${answers.filter((a) => a.modelId === cheapId).length}`],
    ['lies told / sampled and caught', `${told_.length} / ${redrawn.lies}`],
    ['false accusations', `${redrawn.disputes.falseAccusations}`],
    ['from answer to verdict', `${slowest} s at most`],
    [
      'sample',
      `${redrawn.sampled} of ${redrawn.receipts} receipts, rate ${SAMPLE_RATE}; missing every lie: p = ${redrawn.missEveryLie.toExponential(1)}`,
    ],
    ['verdicts', `${redrawn.passed} passed, ${redrawn.lies} lies, ${redrawn.suspect} suspect, ${redrawn.unverifiable} unverifiable`],
    [
      'first slash',
      slash
        ? `${stake(slash.total)} stake: ${stake(slash.challenger)} challenger, ${stake(slash.beneficiary)} victim, ${stake(slash.burned)} burned`
        : 'none',
    ],
    ['the transaction that slashed', slash?.tx ?? 'none'],
    ['refunded to the victim from the bond', `${dollars(refunds)} dollars in ${facts.upheld.length} refunds`],
    ['Unarbitrated (chats: reputation only)', `${ledgers.honest.unarbitrated}`],
    ['claims posted / final', `${facts.posted.length} / ${facts.finalClaims.length}`],
    [
      'draw the sample again',
      `${[...asNodeRoot('./node_modules/.bin/node', [])].flat().join(' ')} services/verifier/src/cli/redraw.ts --state ${told.volumes}/ledgers/gateway/data-gateway-verifier-0/verifier.sqlite --rpc ${told.chainUrl}`,
    ],
  ];
  const table = [
    renderTable(['purse', 'dollars before', 'dollars after', 'change', 'stake change'], moneyRows),
    renderTable(
      ['transaction', 'count', 'gas each (mean)', 'gas (most)'],
      [...transactions]
        .toSorted(([a], [b]) => a.localeCompare(b))
        .map(([name, t]) => [name, String(t.count), String(t.gas / BigInt(t.count)), String(t.most)]),
    ),
    renderTable(['what happened', ''], facts_),
    renderTable(
      ['claim', 'holds'],
      checks.all.map((c) => [c.claim, c.holds ? 'yes' : `NO: ${c.found ?? ''}`]),
    ),
  ].join('\n\n');
  return { table, checks };
};

const sum = (list: readonly bigint[]): bigint => list.reduce((a, b) => a + b, 0n);
