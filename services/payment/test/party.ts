import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Hex } from '@cupel/protocol/hex';
import { baseUnits } from '@cupel/protocol/money';
import type { Micro } from '@cupel/protocol/money';
import { keccak256 } from '@cupel/signing/keccak';
import { memoryLogger } from '@cupel/testing/logger';

import { incomingCalls } from '../src/calls/incoming.ts';
import { edgeCalls } from '../src/calls/edge.ts';
import { gatewayCalls } from '../src/calls/gateway.ts';
import { createFacts, ownChannels } from '../src/facts.ts';
import { aesCipher } from '../src/io/cipher.ts';
import { openLedger } from '../src/io/ledger-sqlite.ts';
import { observeChannel } from '../src/ledger/channel.ts';
import { observeOutgoing } from '../src/ledger/outgoing.ts';
import { createProviders } from '../src/loops/providers.ts';
import type { DepositChain } from '../src/loops/providers.ts';
import { createExits } from '../src/loops/exits.ts';
import type { ExitChain } from '../src/loops/exits.ts';
import { createRedeemer } from '../src/loops/redeem.ts';
import type { RedeemBatch, SettlementOutcome } from '../src/settle/redeem.ts';
import { createManagement } from '../src/management.ts';
import { checks, contracts, gatewayPayout, grant, keyOf, payer, providerPayout, receipts, receiptSigner, versionId } from './arrange.ts';

/** One payment service without bus and chain: a real ledger in a temporary folder, a clock that the test moves. */
export const openParty = (role: 'gateway' | 'edge', chain?: Partial<DepositChain & ExitChain>) => {
  const folder = mkdtempSync(join(tmpdir(), `cupel-${role}-`));
  const clock = { nowMs: 1_000_000 };
  const ledger = openLedger({
    path: join(folder, 'ledger.sqlite'),
    synchronous: 'OFF',
    nowMs: 0,
    onFatal: (error) => {
      throw error;
    },
  });
  const logger = memoryLogger();
  const upheld: Hex[] = [];
  const metered: string[] = [];
  const facts = createFacts({
    nowMs: () => clock.nowMs,
    staleAfterMs: 15_000,
    rememberedDeposit: (channelId) => (ledger.view.channel(channelId) ?? ledger.view.outgoing(channelId))?.deposit,
    isOurs: ownChannels({
      payee: role === 'gateway' ? gatewayPayout : providerPayout,
      token: contracts.paymentToken,
      payer: role === 'gateway' ? payer.address : undefined,
      isKnown: (channelId) => (ledger.view.channel(channelId) ?? ledger.view.outgoing(channelId)) !== undefined,
    }),
    onChannel(channelId, state) {
      if (ledger.view.channel(channelId)) void ledger.submit((view) => observeChannel(view, { channelId, facts: state }));
      if (ledger.view.outgoing(channelId)) void ledger.submit((view) => observeOutgoing(view, { channelId, facts: state }));
    },
    onUpheld: (dispute) => upheld.push(dispute.receiptDigest),
  });
  let ids = 0;
  const deps = {
    ledger,
    facts,
    checks,
    receipts,
    terms: { payee: role === 'gateway' ? gatewayPayout : providerPayout, token: contracts.paymentToken, minWithdrawDelay: 86_400 },
    keccak: keccak256,
    cipher: aesCipher(keyOf(77)),
    meter: {
      voucher: (outcome: string) => void metered.push(`voucher ${outcome}`),
      charge: (outcome: string, charged: Micro, short: Micro) => void metered.push(`charge ${outcome} ${charged} ${short}`),
      refusal: (call: string, reason: string) => void metered.push(`refusal ${call} ${reason}`),
    },
    exposureLimit: baseUnits(100n),
    payloadTtlMs: 60_000,
    nowMs: () => clock.nowMs,
    newId: () => `id-${(ids += 1)}`,
    onCharged: () => undefined,
  };
  const common = incomingCalls(deps);
  const providers = createProviders({
    ...deps,
    chain: {
      open: () => Promise.resolve({ kind: 'unknown', message: 'no chain here' }),
      topUp: () => Promise.resolve({ kind: 'unknown', message: 'no chain here' }),
      ...chain,
    },
    payer,
    token: contracts.paymentToken,
    withdrawDelay: 86_400,
    portion: baseUnits(500n),
    limits: { maxPrepaid: baseUnits(50n), headroom: baseUnits(10n) },
    randomBytes32: () => `0x${randomBytes(32).toString('hex')}`,
    sleep: (ms) => {
      clock.nowMs += ms;
      return new Promise((resolve) => setImmediate(resolve));
    },
    logger,
    waitMs: 5_000,
  });
  const exits = createExits({
    ledger,
    facts,
    chain: {
      startExit: () => Promise.resolve({ kind: 'unknown', message: 'no chain here' }),
      withdraw: () => Promise.resolve({ kind: 'unknown', message: 'no chain here' }),
      ...chain,
    },
    idleMs: 3_600_000,
    nowMs: () => clock.nowMs,
    logger,
  });
  const sent: RedeemBatch[] = [];
  const answers: SettlementOutcome[] = [];
  const redeemer = createRedeemer({
    ledger,
    chain: {
      redeem(_key, batch) {
        sent.push(batch);
        return Promise.resolve(answers.shift() ?? { kind: 'mined', hash: keyOf(sent.length) });
      },
    },
    policy: { threshold: baseUnits(1_000_000n), safetySeconds: 100, maxRows: 50 },
    nowMs: () => clock.nowMs,
    newId: deps.newId,
    logger,
    onOutcome: () => undefined,
  });
  const management = createManagement({
    ledger,
    common,
    redeemer,
    nowMs: deps.nowMs,
    newId: deps.newId,
    newApiKey() {
      const apiKey = `ck-${randomBytes(8).toString('hex')}`;
      return { apiKey, sha256: createHash('sha256').update(apiKey).digest('hex') };
    },
  });
  return {
    clock,
    ledger,
    logger,
    facts,
    common,
    providers,
    exits,
    redeemer,
    management,
    upheld,
    metered,
    /** What the chain was asked to redeem, and what it answers next. */
    redeems: { sent, answers },
    gateway: gatewayCalls({ ...deps, common, payer, onBill: providers.billed }),
    edge: edgeCalls({
      ...deps,
      common,
      receiptSigner,
      grants: { of: (id) => (id === versionId ? grant() : undefined) },
    }),
    [Symbol.dispose]() {
      ledger[Symbol.dispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

export type Party = ReturnType<typeof openParty>;
