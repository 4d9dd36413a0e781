import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Bus, Schema } from '@cupel/bus/bus';
import { connectBus } from '@cupel/bus/connection';
import { startAnvil } from '@cupel/local/processes/anvil';
import type { Anvil } from '@cupel/local/processes/anvil';
import { startNats } from '@cupel/local/processes/nats';
import { digester, SIGNER_GRANT, VOUCHER } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import { channelIdOf } from '@cupel/protocol/ids';
import { baseUnits } from '@cupel/protocol/money';
import { chargeValue, claimPostRequest, leaseValue, outgoingValue, sessionValue, voucherValue } from '@cupel/protocol/wire/bus';
import type { OutgoingValue } from '@cupel/protocol/wire/bus';
import { disputeState } from '@cupel/protocol/wire/projections';
import { encodeJson } from '@cupel/protocol/wire/scalars';
import { ALL_CLAIMS_POST, kvKey, paymentSubject } from '@cupel/protocol/wire/subjects';
import { keccak256 } from '@cupel/signing/keccak';
import { signerFromKey } from '@cupel/signing/secp256k1';
import { memoryLogger } from '@cupel/testing/logger';
import { deployTestMarket } from '@cupel/testing/market';
import type { TestMarket } from '@cupel/testing/market';
import { eventually } from '@cupel/testing/wait';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ADMIN_TOKEN, freePort, hex32, keyOf, NATS_PASSWORD, natsConfig, startPayment } from './payment/world.ts';

const [CONSUMER, GATEWAY, PROVIDER, GATEWAY_PAYOUT] = [1, 2, 3, 4];
const scopes = { gateway: 'gateway.main', edge: 'edge.honest.main' };
const PRICE = 1_234_567n;
const WATCHER = new URL('../../services/watcher/src/main.ts', import.meta.url).pathname;

/** Real chain, contracts, NATS, watcher and both payment services; the test is consumer, routers and operator. */
describe('money on its way from the consumer to the provider', () => {
  const stack = new AsyncDisposableStack();
  let anvil: Anvil;
  let market: TestMarket;
  let bus: Bus;
  let model: Awaited<ReturnType<TestMarket['registerModel']>>;
  const ports = { gateway: 0, edge: 0 };
  const claimsAsked: string[] = [];
  let restartGateway: (over: object) => Promise<void>;

  const signerOf = (account: number) => signerFromKey(anvil.accounts[account]!.privateKey);

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cupel-money-'));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    anvil = stack.use(await startAnvil({ blockTime: 1, slotsInAnEpoch: 1 }));
    const nats = stack.use(
      await startNats({
        config: natsConfig([
          { user: 'watcher', role: 'watcher' },
          { user: 'gateway-payment', role: 'gateway-payment', scope: scopes.gateway },
          { user: 'edge-payment', role: 'edge-payment', scope: scopes.edge },
        ]),
      }),
    );
    market = await deployTestMarket(anvil);
    await market.mint(signerOf(CONSUMER).address, 100_000_000n);
    await market.mint(signerOf(GATEWAY).address, 100_000_000n);
    model = await market.registerModel(PROVIDER, 'honest/digits');
    bus = stack.use(await connectBus({ url: nats.url, user: 'test', password: NATS_PASSWORD, name: 'test', logger: memoryLogger() }));

    const file = (name: string, content: string): string => {
      writeFileSync(join(folder, name), content, { mode: 0o600 });
      return join(folder, name);
    };
    const { contracts, block } = market.deployment;
    const receiptKey = keyOf(3);
    const grant = { versionId: model.versionId, signer: signerFromKey(receiptKey).address, notAfter: 4_000_000_000n };
    const grantDigest = digester(keccak256, SIGNER_GRANT, {
      name: 'ModelRegistry',
      chainId: BigInt(anvil.chainId),
      verifyingContract: contracts.modelRegistry,
    });
    const common = {
      metricsPort: 0,
      market: { chainId: anvil.chainId, rpc: [{ name: 'anvil', url: anvil.rpcUrl }], contracts },
    };
    const natsAs = (user: string) => ({
      url: nats.url,
      userFile: file(`user-${user}`, user),
      passwordFile: file('password', NATS_PASSWORD),
    });
    const payment = {
      ...common,
      adminTokenFile: file('admin', ADMIN_TOKEN),
      payloadKeyFile: file('payload', keyOf(7)),
      payloadTtlSeconds: 3600,
      exposureBaseUnits: '1000000',
      minWithdrawDelaySeconds: 3600,
    };
    const watcher = spawn(process.execPath, [WATCHER], {
      env: {
        CUPEL_CONFIG: file(
          'watcher.json',
          JSON.stringify({ ...common, nats: natsAs('watcher'), startBlock: block, pollMs: 200, statePath: join(folder, 'watcher.sqlite') }),
        ),
      },
      stdio: 'ignore',
    });
    stack.defer(() => void watcher.kill('SIGKILL'));
    const start = async (role: 'gateway' | 'edge', own: object) => {
      ports[role] = await freePort();
      mkdirSync(join(folder, role));
      const config = {
        role,
        nats: natsAs(`${role}-payment`),
        scope: scopes[role],
        managementPort: ports[role],
        ledgerPath: join(folder, role, 'ledger.sqlite'),
        ...payment,
        ...own,
      };
      const running = await startPayment(file(`${role}.json`, JSON.stringify(config)));
      stack.defer(async () => void (await running.stop()));
      return { running, config };
    };
    const settle = (keyFile: string) => ({ thresholdBaseUnits: '1000000000', safetySeconds: 60, keyFile });
    const gatewayRole = {
      payerKeyFile: file('payer', anvil.accounts[GATEWAY]!.privateKey),
      providerDepositBaseUnits: '10000000',
      maxPrepaidBaseUnits: '5000000',
      headroomBaseUnits: '1000000',
      withdrawDelaySeconds: 86_400,
    };
    const first = await start('gateway', {
      payee: signerOf(GATEWAY_PAYOUT).address,
      settle: settle(file('gateway-payout', anvil.accounts[GATEWAY_PAYOUT]!.privateKey)),
      gateway: gatewayRole,
    });
    restartGateway = async (over) => {
      await first.running.stop();
      const again = await startPayment(file('gateway.json', JSON.stringify({ ...first.config, gateway: { ...gatewayRole, ...over } })));
      stack.defer(async () => void (await again.stop()));
    };
    await start('edge', {
      payee: model.owner,
      settle: settle(file('provider', anvil.accounts[PROVIDER]!.privateKey)),
      edge: {
        receiptKeyFile: file('receipt', receiptKey),
        grantsFile: file('grants.json', encodeJson([{ ...grant, signature: signerOf(PROVIDER).sign(grantDigest(grant)) }])),
        claims: { everySeconds: 1, maxCount: 100 },
      },
    });
    // The operator: its key posts roots.
    await bus.serve(ALL_CLAIMS_POST, claimPostRequest, async ({ versionId, root, count, maxPrice }, subject) => {
      claimsAsked.push(subject);
      const receipt = await market.send(PROVIDER, market.calls.postRoot(versionId, root, count, maxPrice));
      return { claimId: hex32(0), tx: receipt.hash };
    });
  }, 120_000);
  afterAll(() => stack.disposeAsync(), 60_000);

  const manage = async <T = object>(role: 'gateway' | 'edge', method: string, path: string, body?: object, token = ADMIN_TOKEN) => {
    const response = await fetch(`http://127.0.0.1:${ports[role]}/manage/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body && { body: encodeJson(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  };
  const call = async <S extends Schema>(
    role: 'gateway' | 'edge',
    name: Parameters<typeof paymentSubject>[1],
    payload: object,
    schema: S,
    timeoutMs = 3000,
  ) => {
    const answer = await bus.call(paymentSubject(scopes[role], name), { version: 1, ...payload }, schema, { timeoutMs });
    if (!answer.ok) throw new Error(`${name} was refused: ${answer.refusal.reason}: ${answer.refusal.message}`);
    return answer.value;
  };
  const dollars = async (address: Hex): Promise<bigint> =>
    BigInt(
      await market.client.call({ to: market.deployment.contracts.paymentToken, data: `0x70a08231${address.slice(2).padStart(64, '0')}` }),
    );

  let channelId: Hex;
  let outgoing: OutgoingValue;

  test('a consumer’s channel is taken once it is final, and its voucher with it', { timeout: 30_000 }, async () => {
    const consumer = signerOf(CONSUMER);
    const { contracts } = market.deployment;
    const descriptor = {
      payer: consumer.address,
      payee: signerOf(GATEWAY_PAYOUT).address,
      token: contracts.paymentToken,
      signerKind: 0,
      signer: consumer.address,
      withdrawDelay: 86_400,
      salt: hex32(5),
    };
    channelId = channelIdOf(keccak256, descriptor);
    await market.send(CONSUMER, market.calls.approve(contracts.paymentToken, contracts.paymentChannels, 20_000_000n));
    await market.send(CONSUMER, market.calls.open(descriptor, baseUnits(20_000_000n)));
    const { apiKey } = await manage<{ apiKey: string }>('gateway', 'POST', '/consumers', { name: 'test' });
    const digest = digester(keccak256, VOUCHER, {
      name: 'PaymentChannels',
      chainId: BigInt(anvil.chainId),
      verifyingContract: contracts.paymentChannels,
    });
    const maxClaimableAmount = 10_000_000n;
    const voucher = { channelId, maxClaimableAmount, signature: consumer.sign(digest({ channelId, maxClaimableAmount })) };
    await manage('gateway', 'POST', '/channels', { descriptor }, apiKey);
    await eventually('the voucher to be taken', async () => Boolean(await manage('gateway', 'POST', '/vouchers', voucher, apiKey)), 20_000);
    expect(await manage('gateway', 'GET', '/balance', undefined, apiKey)).toMatchObject({ deposit: '20000000', ceiling: '10000000' });
  });

  test('the gateway opens a channel to the provider on first need; the edge takes session and voucher', { timeout: 60_000 }, async () => {
    outgoing = await call('gateway', 'outgoing', { payee: model.owner, modelId: model.modelId, need: PRICE }, outgoingValue, 30_000);
    const { key, signature, ...session } = outgoing.session;
    expect(key).toMatch(/^0x[0-9a-f]{64}$/);
    const opened = { descriptor: outgoing.descriptor, session: { channelId: outgoing.channelId, ...session }, signature };
    await eventually('the session to be taken', async () => Boolean(await call('edge', 'session', opened, sessionValue)), 20_000);
    const voucher = { channelId: outgoing.channelId, ...outgoing.voucher };
    expect(await call('edge', 'voucher', voucher, voucherValue)).toMatchObject({ ceiling: outgoing.voucher.maxClaimableAmount });
    const allowance = await market.client.call({
      to: market.deployment.contracts.paymentToken,
      data: `0xdd62ed3e${outgoing.descriptor.payer.slice(2).padStart(64, '0')}${market.deployment.contracts.paymentChannels.slice(2).padStart(64, '0')}`,
    });
    expect(BigInt(allowance)).toBe(0n);
  });

  const answer = async (n: number) => {
    const requestId = hex32(n);
    const common = { requestId, price: PRICE, publicName: 'digits', modelId: model.modelId };
    const atEdge = await call('edge', 'lease', { routerId: 'e', channelId: outgoing.channelId, minimum: PRICE, wanted: PRICE }, leaseValue);
    const draft = {
      versionId: model.versionId,
      channelId: outgoing.channelId,
      inputHash: hex32(1),
      outputHash: hex32(2),
      params: {},
      inputUnits: 196n,
      outputUnits: 10n,
      outcome: 0n,
    };
    const { envelope } = await call('edge', 'charge', { ...common, leaseId: atEdge.leaseId, draft }, chargeValue);
    const atGateway = await call('gateway', 'lease', { routerId: 'g', channelId, minimum: PRICE, wanted: PRICE }, leaseValue);
    return call('gateway', 'charge', { ...common, leaseId: atGateway.leaseId, envelope }, chargeValue);
  };

  test('every answer is charged at both ends, and redeemed in one batch each: rounded up once', { timeout: 60_000 }, async () => {
    outgoing = await call('gateway', 'outgoing', { payee: model.owner, modelId: model.modelId, need: 5n * PRICE }, outgoingValue);
    await call('edge', 'voucher', { channelId: outgoing.channelId, ...outgoing.voucher }, voucherValue).catch(() => undefined);
    for (let n = 1; n <= 5; n++) await answer(n);
    const owed = (5n * PRICE + 999_999n) / 1_000_000n;
    const before = { gateway: await dollars(signerOf(GATEWAY_PAYOUT).address), provider: await dollars(model.owner) };
    for (const role of ['gateway', 'edge'] as const) {
      expect(await manage(role, 'POST', '/settle', {})).toMatchObject({
        settlements: [{ state: 'done', rows: [{ amount: String(owed) }] }],
      });
    }
    expect((await dollars(signerOf(GATEWAY_PAYOUT).address)) - before.gateway).toBe(owed);
    expect((await dollars(model.owner)) - before.provider).toBe(owed);
    await eventually('the projection of the redeem', async () => {
      const { channels } = await manage<{ channels: { settled: string }[] }>('gateway', 'GET', '/ledger');
      return channels[0]?.settled === String(owed);
    });
    expect(await manage('gateway', 'POST', '/settle', {})).toMatchObject({ settlements: [] });
  });

  test('the edge’s receipts become claims, posted once by the operator', { timeout: 60_000 }, async () => {
    await eventually(
      'all receipts to be claimed',
      async () => {
        const { claims } = await manage<{
          claims: { count: number; state: string; claimId: Hex }[];
        }>('edge', 'GET', '/ledger');
        const posted = claims.filter((c) => c.state === 'posted');
        if (posted.reduce((sum, c) => sum + c.count, 0) !== 5) return false;
        for (const { claimId, count } of posted)
          expect(await market.views.claim(claimId)).toMatchObject({ count, status: 'open', maxPrice: PRICE });
        expect(claimsAsked).toHaveLength(posted.length);
        return true;
      },
      30_000,
    );
  });

  test('an upheld dispute gives the consumer the charge back', { timeout: 30_000 }, async () => {
    const { receipts } = await manage<{ receipts: { receiptDigest: Hex }[] }>('gateway', 'GET', '/receipts?limit=1');
    const { receiptDigest } = receipts[0]!;
    await bus.kv('disputes', disputeState).put(kvKey(receiptDigest), {
      version: 1,
      receiptDigest,
      modelId: model.modelId,
      challenger: signerOf(CONSUMER).address,
      beneficiary: signerOf(GATEWAY).address,
      status: 'upheld',
      slashed: 1n,
      refund: 2n,
      tx: hex32(1),
    });
    const credited = await eventually('the credit', async () => {
      const { totals } = await manage<{ totals: { creditedMicro: string } }>('gateway', 'GET', '/ledger');
      return totals.creditedMicro !== '0' && totals.creditedMicro;
    });
    expect(credited).toBe(String(PRICE));
  });

  test('an idle channel is exited on chain, and what the provider has not earned comes back', { timeout: 60_000 }, async () => {
    await restartGateway({ idleExitSeconds: 1 });
    const own = async () => {
      const { outgoing: rows } = await manage<{ outgoing: { status: string; settled: string }[] }>('gateway', 'GET', '/ledger');
      expect(rows).toHaveLength(1);
      return rows[0]!;
    };
    await eventually('the exit to be seen', async () => (await own()).status === 'closing', 20_000);
    const before = await dollars(signerOf(GATEWAY).address);
    await anvil.rpc('evm_increaseTime', [86_400]);
    await eventually('the rest to be withdrawn', async () => (await own()).status === 'closed', 20_000);
    const owed = (5n * PRICE + 999_999n) / 1_000_000n;
    expect((await own()).settled).toBe(String(owed));
    expect((await dollars(signerOf(GATEWAY).address)) - before).toBe(10_000_000n - owed);
  });
});
