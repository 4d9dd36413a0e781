import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { readArtifacts } from '@cupel/chain/artifact-files';
import type { ChainClient } from '@cupel/chain/client';
import { connectChain } from '@cupel/chain/connect';
import { executionEvidence, marketCalls, storeData } from '@cupel/chain/contracts';
import type { DisputeCase, RedeemRow } from '@cupel/chain/contracts';
import { deployMarket } from '@cupel/chain/deploy';
import type { Deployment } from '@cupel/chain/deploy';
import { developmentParameters } from '@cupel/chain/deployment-parameters';
import { memoryJournal } from '@cupel/chain/journal-memory';
import { openLane } from '@cupel/chain/lane';
import type { Call, Lane, Outcome } from '@cupel/chain/lane';
import { marketViews } from '@cupel/chain/views';
import { startAnvil } from '@cupel/local/processes/anvil';
import type { Anvil } from '@cupel/local/processes/anvil';
import { RECEIPT, SIGNER_GRANT, VOUCHER, digester } from '@cupel/protocol/eip712';
import type { Receipt } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import { bytesToHex } from '@cupel/protocol/hex';
import { channelIdOf, modelIdOf, versionIdOf } from '@cupel/protocol/ids';
import type { ChannelDescriptor } from '@cupel/protocol/ids';
import { baseUnits } from '@cupel/protocol/money';
import { keccak256 } from '@cupel/signing/keccak';
import { signerFromKey } from '@cupel/signing/secp256k1';
import type { Signer } from '@cupel/signing/secp256k1';
import { memoryLogger } from '@cupel/testing/logger';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

interface Vectors {
  readonly program: Hex;
  readonly weights: Hex;
  readonly verificationRoot: Hex;
  readonly cases: readonly { readonly salt: Hex; readonly input: Hex; readonly inputHash: Hex; readonly outputHash: Hex }[];
}

const root = resolve(import.meta.dirname, '../..');
const digits = JSON.parse(readFileSync(resolve(root, 'contracts/test/vectors/integer.json'), 'utf8')) as Vectors;
const CPL = 10n ** 18n;
const STAKE = 1_000n * CPL;
const BOND = 5_000_000n;
const SLUG = 'cheat/digits';
const PRICE_MICRO = 1_000_000_001n;

/** Our contracts on a real chain, driven through packages/chain and signed by packages/signing: deployment, money, and one dispute. */
describe('the contracts on a chain', () => {
  const stack = new AsyncDisposableStack();
  let anvil: Anvil;
  let client: ChainClient;
  let market: Deployment;
  let calls: ReturnType<typeof marketCalls>;
  let views: ReturnType<typeof marketViews>;
  let owner: Signer;
  let payer: Signer;
  let edge: Signer;
  let descriptor: ChannelDescriptor;
  let pointer: Hex;
  const lanes = new Map<Hex, Lane>();
  let sequence = 0;

  const send = async (signer: Signer, call: Call): Promise<Outcome> => {
    let lane = lanes.get(signer.address);
    if (lane === undefined) {
      lane = stack.use(
        openLane({ client, signer, journal: memoryJournal(), clock: { nowMs: () => Date.now() }, logger: memoryLogger(), pollMs: 50 }),
      );
      lanes.set(signer.address, lane);
    }
    sequence += 1;
    return lane.send({ key: `${sequence}`, purpose: 'test', call });
  };
  const mined = async (signer: Signer, call: Call) => {
    const outcome = await send(signer, call);
    if (outcome.kind !== 'mined') throw new Error(`expected a mined transaction, got ${JSON.stringify(outcome)}`);
    return outcome.receipt;
  };

  beforeAll(async () => {
    execFileSync(process.execPath, [resolve(root, 'contracts/script/forge.ts'), 'build'], { stdio: 'ignore' });
    anvil = stack.use(await startAnvil({ blockTime: 1, accounts: 4 }));
    client = stack.use(
      connectChain({ rpc: [{ name: 'anvil', url: anvil.rpcUrl }], chainId: anvil.chainId, logger: memoryLogger(), timeoutMs: 5_000 }),
    );
    const key = (i: number): Hex => anvil.accounts[i]!.privateKey;
    [owner, payer, edge] = [signerFromKey(key(0)), signerFromKey(key(1)), signerFromKey(key(2))];
    market = await deployMarket({
      client,
      profile: 'development',
      privateKey: key(0),
      artifacts: readArtifacts(resolve(root, 'contracts/out')),
      parameters: developmentParameters(),
      sleep: (ms) => sleep(ms),
      now: () => performance.now(),
    });
    calls = marketCalls(market.contracts);
    views = marketViews(client, market.contracts);
  });
  afterAll(() => stack.disposeAsync());

  it('are deployed within a few blocks and wired to each other', async () => {
    expect(market.chainId).toBe(31_337);
    expect((await client.head('latest')).number - market.block).toBeLessThanOrEqual(3);
    expect(market.forAdmin).toEqual([]);
  });

  it('refuse a deployment whose windows do not fit, before anything is sent', async () => {
    const before = await client.nonce(owner.address, 'pending');
    const attempt = deployMarket({
      client,
      profile: 'production',
      privateKey: anvil.accounts[0]!.privateKey,
      artifacts: readArtifacts(resolve(root, 'contracts/out')),
      parameters: developmentParameters(),
      sleep: (ms) => sleep(ms),
      now: () => performance.now(),
    });
    await expect(attempt).rejects.toThrow(/evidenceSeconds is 600: production needs at least 604800/);
    expect(await client.nonce(owner.address, 'pending')).toBe(before);
  });

  it('register and stake a model', async () => {
    const { contracts, extra } = market;
    const modelId = modelIdOf(keccak256, owner.address, SLUG);
    await mined(owner, calls.setProvider(owner.address, owner.address));
    const prices = { inputPerMillion: baseUnits(0n), outputPerMillion: baseUnits(0n), perRequest: baseUnits(1_001n) };
    const terms = {
      manifestHash: bytesToHex(keccak256(new Uint8Array(1))),
      verificationRoot: digits.verificationRoot,
      mode: 'IntegerExecution',
    } as const;
    await mined(owner, calls.register(owner.address, SLUG, terms, prices, 'http://edge.cheat:8080', ['digits']));
    await mined(owner, { to: contracts.paymentToken, data: mint(owner.address, BOND) });
    await mined(owner, calls.approve(contracts.stakeToken, contracts.stakeVault, STAKE));
    await mined(owner, calls.approve(contracts.paymentToken, contracts.stakeVault, BOND));
    await mined(owner, calls.deposit(modelId, STAKE, BOND));
    expect(await views.isStaked(modelId)).toBe(true);
    expect(await views.version(versionIdOf(keccak256, modelId, 1))).toMatchObject({
      arbiter: extra.executionArbiter,
      mode: 'IntegerExecution',
    });
    await mined(owner, storeData(extra.dataStore, digits.weights));
    pointer = await views.dataAddress(extra.dataStore, digits.weights);
  });

  it('open a channel and redeem a voucher that TypeScript signed', async () => {
    const { contracts } = market;
    descriptor = {
      payer: payer.address,
      payee: owner.address,
      token: contracts.paymentToken,
      signerKind: 0,
      signer: payer.address,
      withdrawDelay: 3_600,
      salt: bytesToHex(new Uint8Array(32)),
    };
    await mined(payer, { to: contracts.paymentToken, data: mint(payer.address, 1_000_000n) });
    await mined(payer, calls.approve(contracts.paymentToken, contracts.paymentChannels, 1_000_000n));
    await mined(payer, calls.open(descriptor, baseUnits(1_000_000n)));
    const channelId = channelIdOf(keccak256, descriptor);
    const digest = digester(keccak256, VOUCHER, domain('PaymentChannels', contracts.paymentChannels));
    const signature = payer.sign(digest({ channelId, maxClaimableAmount: 500n }));
    const row: RedeemRow = { descriptor, amount: 300n, maxClaimable: 500n, signature };
    await mined(owner, calls.redeem([row]));
    expect(await views.channel(channelId)).toMatchObject({ deposit: 1_000_000n, settled: 300n, status: 'open' });
    expect(await views.balance(contracts.paymentToken, owner.address)).toBe(300n);
  });

  it('reject an accusation of a right answer by its name', async () => {
    const outcome = await send(payer, calls.challenge(disputeOf(0, digits.cases[0]!.outputHash)));
    expect(outcome).toMatchObject({ kind: 'reverted', simulated: true, error: { name: 'AnswerIsRight' } });
  });

  it('run the model and punish a wrong answer, once', async () => {
    const { contracts } = market;
    const modelId = modelIdOf(keccak256, owner.address, SLUG);
    const dispute = disputeOf(1, digits.cases[0]!.outputHash);
    const money = await views.balance(contracts.paymentToken, payer.address);
    const receipt = await mined(payer, calls.challenge(dispute));
    expect(receipt.gasUsed).toBeLessThan(700_000n);
    expect(await views.verdict(await views.receiptDigest(dispute.receipt))).toBe('upheld');
    expect(await views.model(modelId)).toMatchObject({ status: 'suspended', faults: 1 });
    expect(await views.stake(modelId)).toMatchObject({ free: STAKE / 2n, bond: BOND - 1_001n });
    expect(await views.balance(contracts.paymentToken, payer.address)).toBe(money + 1_001n);
    expect(await views.balance(contracts.stakeToken, payer.address)).toBe(((STAKE / 2n) * 3n) / 10n);
    expect(await send(payer, calls.challenge(dispute))).toMatchObject({ kind: 'reverted', error: { name: 'AlreadyUpheld' } });
  });

  const domain = <const N extends string>(name: N, verifyingContract: Hex) => ({
    name,
    chainId: BigInt(market.chainId),
    verifyingContract,
  });

  /** A dispute of answer `i` of the vectors with this output hash, signed as an edge signs. */
  const disputeOf = (i: number, outputHash: Hex): DisputeCase => {
    const { contracts } = market;
    const { salt, input, inputHash } = digits.cases[i]!;
    const versionId = versionIdOf(keccak256, modelIdOf(keccak256, owner.address, SLUG), 1);
    const receipt: Receipt = {
      versionId,
      requestId: bytesToHex(keccak256(Uint8Array.of(i))),
      channelId: channelIdOf(keccak256, descriptor),
      inputHash,
      outputHash,
      paramsHash: bytesToHex(keccak256(new Uint8Array())),
      inputUnits: 196n,
      outputUnits: 10n,
      price: PRICE_MICRO,
      cumulative: PRICE_MICRO,
      beneficiary: payer.address,
      issuedAt: BigInt(Math.floor(Date.now() / 1000)),
      outcome: 0n,
    };
    const grant = { versionId, signer: edge.address, notAfter: receipt.issuedAt + 3_600n };
    const registry = domain('ModelRegistry', contracts.modelRegistry);
    return {
      receipt,
      receiptSig: edge.sign(digester(keccak256, RECEIPT, registry)(receipt)),
      grant,
      grantSig: owner.sign(digester(keccak256, SIGNER_GRANT, registry)(grant)),
      descriptor,
      evidence: executionEvidence(digits.program, pointer, salt, input),
    };
  };
});

/** TestDollar.mint(address,uint256). */
const mint = (to: Hex, amount: bigint): Hex => `0x40c10f19${to.slice(2).padStart(64, '0')}${amount.toString(16).padStart(64, '0')}`;
