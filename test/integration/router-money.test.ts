import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import type { Bus } from '@cupel/bus/bus';
import { connectBus } from '@cupel/bus/connection';
import { renderAccounts } from '@cupel/bus/nats-config';
import { startAnvil } from '@cupel/local/processes/anvil';
import { freePorts } from '@cupel/local/processes/child';
import { startNats } from '@cupel/local/processes/nats';
import { digester, SIGNER_GRANT, VOUCHER } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import { channelIdOf } from '@cupel/protocol/ids';
import { baseUnits } from '@cupel/protocol/money';
import { engineList } from '@cupel/protocol/wire/bus';
import type { Engine } from '@cupel/protocol/wire/bus';
import { encodeJson } from '@cupel/protocol/wire/scalars';
import { enginesKey, paymentSubject, probeSubject } from '@cupel/protocol/wire/subjects';
import { probeValue, receiptValue } from '@cupel/protocol/wire/bus';
import { keccak256 } from '@cupel/signing/keccak';
import { signerFromKey } from '@cupel/signing/secp256k1';
import { memoryLogger } from '@cupel/testing/logger';
import { deployTestMarket } from '@cupel/testing/market';
import { eventually } from '@cupel/testing/wait';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ADMIN_TOKEN, keyOf, startPayment } from './payment/world.ts';
import { openEdge, openGateway } from './router/parties.ts';
import { startScriptEngine } from './router/script-engine.ts';
import type { ScriptEngine } from './router/script-engine.ts';

const [CONSUMER, GATEWAY, PROVIDER, GATEWAY_PAYOUT] = [1, 2, 3, 4];
const root = resolve(import.meta.dirname, '../..');
const PASSWORD = 'a-password-of-20-ch.';
const CHAT_PRICES = { inputPerMillion: baseUnits(100n), outputPerMillion: baseUnits(400n), perRequest: baseUnits(1n) };
const DIGITS_PRICES = { inputPerMillion: baseUnits(0n), outputPerMillion: baseUnits(0n), perRequest: baseUnits(1000n) };
const DEPOSIT = 20_000_000n;
const samples = JSON.parse(readFileSync(join(root, 'models/digits/samples.json'), 'utf8')) as {
  samples: { label: number; pixels: string }[];
};
const manifestBytes = readFileSync(join(root, 'models/digits/cupel-manifest.json'));
const manifest = JSON.parse(manifestBytes.toString()) as { integer: { verificationRoot: Hex } };
const DIGITS_SHA = createHash('sha256').update(manifestBytes).digest('hex');
const CHAT_SHA = 'ab'.repeat(32);

/** Real chain, contracts, NATS with the chart's permissions, watchers, both payment services and both routers; the test is consumer and operator. */
describe('requests, and the money for them, from the consumer to the provider', () => {
  const stack = new AsyncDisposableStack();
  const ports = { gateway: 0, edge: 0 };
  let anvil: Awaited<ReturnType<typeof startAnvil>>;
  let market: Awaited<ReturnType<typeof deployTestMarket>>;
  let engine: ScriptEngine;
  let operator: Bus;
  let verifier: Bus;
  let baseUrl: string;
  let apiKey: string;
  let channelId: Hex;
  const seen: { id: Hex; price: bigint }[] = [];

  const signerOf = (account: number) => signerFromKey(anvil.accounts[account]!.privateKey);
  const manage = async <T = object>(
    role: 'gateway' | 'edge',
    method: string,
    path: string,
    body?: object,
    token = ADMIN_TOKEN,
  ): Promise<T> => {
    const response = await fetch(`http://127.0.0.1:${ports[role]}/manage/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body && { body: encodeJson(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  };

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cupel-router-money-'));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    const file = (name: string, content: string): string => {
      writeFileSync(join(folder, name), content, { mode: 0o600 });
      return join(folder, name);
    };
    anvil = stack.use(await startAnvil({ blockTime: 1, slotsInAnEpoch: 1 }));
    const scopes = { gateway: 'gateway.main', edge: 'edge.honest.main' };
    const nats = stack.use(
      await startNats({
        config: renderAccounts([
          {
            name: 'gateway',
            users: [
              { user: 'g-watcher', role: 'watcher', password: PASSWORD },
              { user: 'g-router', role: 'gateway-router', scope: scopes.gateway, password: PASSWORD },
              { user: 'g-payment', role: 'gateway-payment', scope: scopes.gateway, password: PASSWORD },
              { user: 'g-verifier', role: 'verifier', scope: scopes.gateway, password: PASSWORD },
            ],
          },
          {
            name: 'provider',
            users: [
              { user: 'p-watcher', role: 'watcher', password: PASSWORD },
              { user: 'p-operator', role: 'operator', password: PASSWORD },
              { user: 'p-router', role: 'edge-router', scope: scopes.edge, password: PASSWORD },
              { user: 'p-payment', role: 'edge-payment', scope: scopes.edge, password: PASSWORD },
            ],
          },
        ]),
      }),
    );
    const connect = async (user: string): Promise<Bus> =>
      stack.use(await connectBus({ url: nats.url, user, password: PASSWORD, name: user, logger: memoryLogger() }));
    market = await deployTestMarket(anvil);
    const { contracts, block } = market.deployment;
    await market.mint(signerOf(CONSUMER).address, 100_000_000n);
    await market.mint(signerOf(GATEWAY).address, 100_000_000n);

    engine = stack.use(await startScriptEngine());
    const [digitsPort = 0, ...managementPorts] = await freePorts(3);
    [ports.gateway = 0, ports.edge = 0] = managementPorts;
    const digits = spawn(process.execPath, [join(root, 'services/integer-engine/src/main.ts')], {
      env: { PORT: String(digitsPort), MODEL_DIR: join(root, 'models/digits'), CUPEL_MODEL_NAME: 'digits' },
      stdio: 'ignore',
    });
    stack.defer(() => void digits.kill('SIGKILL'));

    const edge = await openEdge(stack, await connect('p-router'), scopes.edge, { namespace: 'honest', name: 'main' });
    const endpoint = `http://127.0.0.1:${edge.port}`;
    const chat = await market.registerModel(PROVIDER, 'honest/assistant', {
      terms: { manifestHash: `0x${CHAT_SHA}`, verificationRoot: `0x${'00'.repeat(32)}`, mode: 'Replay' },
      prices: CHAT_PRICES,
      endpoint,
    });
    const integer = await market.registerModel(PROVIDER, 'honest/digits', {
      terms: { manifestHash: `0x${DIGITS_SHA}`, verificationRoot: manifest.integer.verificationRoot, mode: 'IntegerExecution' },
      prices: DIGITS_PRICES,
      endpoint,
    });

    const common = (user: string) => ({
      metricsPort: 0,
      nats: { url: nats.url, userFile: file(`${user}.user`, user), passwordFile: file('password', PASSWORD) },
      market: { chainId: anvil.chainId, rpc: [{ name: 'anvil', url: anvil.rpcUrl }], contracts },
    });
    for (const user of ['g-watcher', 'p-watcher']) {
      const config = { ...common(user), startBlock: block, pollMs: 250, statePath: join(folder, `${user}.sqlite`) };
      const watcher = spawn(process.execPath, [join(root, 'services/watcher/src/main.ts')], {
        env: { CUPEL_CONFIG: file(`${user}.json`, JSON.stringify(config)) },
        stdio: 'ignore',
      });
      stack.defer(() => void watcher.kill('SIGKILL'));
    }
    const payment = async (role: 'gateway' | 'edge', user: string, own: object): Promise<void> => {
      mkdirSync(join(folder, role));
      const config = {
        ...common(user),
        role,
        scope: scopes[role],
        managementPort: ports[role],
        ledgerPath: join(folder, role, 'ledger.sqlite'),
        adminTokenFile: file('admin', ADMIN_TOKEN),
        payloadKeyFile: file('payload', keyOf(7)),
        payloadTtlSeconds: 3600,
        exposureBaseUnits: '1000000',
        minWithdrawDelaySeconds: 3600,
        ...own,
      };
      const running = await startPayment(file(`${role}.json`, JSON.stringify(config)));
      stack.defer(async () => void (await running.stop()));
    };
    const settle = (account: number) => ({
      thresholdBaseUnits: '1000000000',
      safetySeconds: 60,
      keyFile: file(`settle-${account}`, anvil.accounts[account]!.privateKey),
    });
    await payment('gateway', 'g-payment', {
      payee: signerOf(GATEWAY_PAYOUT).address,
      settle: settle(GATEWAY_PAYOUT),
      gateway: {
        payerKeyFile: file('payer', anvil.accounts[GATEWAY]!.privateKey),
        providerDepositBaseUnits: '10000000',
        maxPrepaidBaseUnits: '5000000',
        headroomBaseUnits: '100000',
        withdrawDelaySeconds: 86_400,
      },
    });
    const receiptSigner = signerFromKey(keyOf(3));
    const grantDigest = digester(keccak256, SIGNER_GRANT, {
      name: 'ModelRegistry',
      chainId: BigInt(anvil.chainId),
      verifyingContract: contracts.modelRegistry,
    });
    const grants = [chat.versionId, integer.versionId].map((versionId) => {
      const grant = { versionId, signer: receiptSigner.address, notAfter: 4_000_000_000n };
      return { ...grant, signature: signerOf(PROVIDER).sign(grantDigest(grant)) };
    });
    await payment('edge', 'p-payment', {
      payee: chat.owner,
      settle: settle(PROVIDER),
      edge: {
        receiptKeyFile: file('receipt', keyOf(3)),
        grantsFile: file('grants.json', encodeJson(grants)),
        claims: { everySeconds: 3600, maxCount: 100 },
      },
    });

    operator = await connect('p-operator');
    verifier = await connect('g-verifier');
    const shared = { draining: false } as const;
    const engines: Engine[] = [
      {
        ...shared,
        modelId: chat.modelId,
        versionId: chat.versionId,
        publicName: 'smollm2',
        kind: 'chat',
        url: engine.url,
        mode: 'Replay',
        prices: CHAT_PRICES,
        manifestSha256: CHAT_SHA,
        verificationRoot: `0x${'00'.repeat(32)}`,
      },
      {
        ...shared,
        modelId: integer.modelId,
        versionId: integer.versionId,
        publicName: 'digits',
        kind: 'integer',
        url: `http://127.0.0.1:${digitsPort}`,
        mode: 'IntegerExecution',
        prices: DIGITS_PRICES,
        manifestSha256: DIGITS_SHA,
        verificationRoot: manifest.integer.verificationRoot,
      },
    ];
    await operator.ensureKv('engines');
    await operator.kv('engines', engineList).put(enginesKey('honest', 'main'), { version: 1, engines });

    const gateway = await openGateway(stack, await connect('g-router'), scopes.gateway, {
      domain: { chainId: BigInt(anvil.chainId), modelRegistry: contracts.modelRegistry },
      models: {
        assistant: { manifestSha256: CHAT_SHA, kind: 'chat' },
        digits: { manifestSha256: DIGITS_SHA, kind: 'integer', verificationRoot: manifest.integer.verificationRoot },
      },
    });
    baseUrl = `http://127.0.0.1:${gateway.port}`;
  }, 170_000);
  afterAll(() => stack.disposeAsync(), 60_000);

  const signVoucher = (amount: bigint) => {
    const digest = digester(keccak256, VOUCHER, {
      name: 'PaymentChannels',
      chainId: BigInt(anvil.chainId),
      verifyingContract: market.deployment.contracts.paymentChannels,
    });
    return { channelId, maxClaimableAmount: amount, signature: signerOf(CONSUMER).sign(digest({ channelId, maxClaimableAmount: amount })) };
  };
  const note = async (headers: Headers): Promise<void> => {
    const id = headers.get('x-cupel-receipt') as Hex;
    const response = await fetch(`${baseUrl}/v1/receipts/${id}`, { headers: { authorization: `Bearer ${apiKey}` } });
    const { receipt } = (await response.json()) as { receipt: { requestId: Hex; price: string } };
    expect(receipt.requestId).toBe(id);
    seen.push({ id, price: BigInt(receipt.price) });
  };
  const digit = (pixels: string) => {
    const data = [...Buffer.from(pixels, 'base64')];
    return fetch(`${baseUrl}/v2/models/digits/infer`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}` },
      body: JSON.stringify({ inputs: [{ name: 'input', datatype: 'UINT8', shape: [1, data.length], data }] }),
    });
  };

  test('the operator probes engines through the edge', async () => {
    const pixels = Buffer.from(samples.samples[0]!.pixels, 'base64');
    const { engines } = (await operator.kv('engines', engineList).get(enginesKey('honest', 'main')))!;
    const probe = (kind: 'chat' | 'integer') => {
      const { url, publicName } = engines.find((e) => e.kind === kind)!;
      return operator.call(
        probeSubject('edge.honest.main'),
        { version: 1, url, publicName, kind, ...(kind === 'integer' && { input: `0x${pixels.toString('hex')}` }) },
        probeValue,
      );
    };
    const integer = await eventually('the integer engine answers', async () => {
      const reply = await probe('integer');
      return reply.ok && reply.value;
    });
    const scores = [...Buffer.from(integer.output!.slice(2), 'hex')];
    expect(scores.indexOf(Math.max(...scores))).toBe(samples.samples[0]!.label);
    expect(await probe('chat')).toMatchObject({ ok: true, value: { text: 't0 t1 t2 t3 t4 ', promptTokens: 7, completionTokens: 5 } });
  });

  test('without a voucher: 402 with the amount missing; with one over the management API: served', { timeout: 60_000 }, async () => {
    const { contracts } = market.deployment;
    const consumer = signerOf(CONSUMER).address;
    const descriptor = {
      payer: consumer,
      payee: signerOf(GATEWAY_PAYOUT).address,
      token: contracts.paymentToken,
      signerKind: 0,
      signer: consumer,
      withdrawDelay: 86_400,
      salt: `0x${'05'.repeat(32)}` as Hex,
    };
    channelId = channelIdOf(keccak256, descriptor);
    await market.send(CONSUMER, market.calls.approve(contracts.paymentToken, contracts.paymentChannels, DEPOSIT));
    await market.send(CONSUMER, market.calls.open(descriptor, baseUnits(DEPOSIT)));
    ({ apiKey } = await manage<{ apiKey: string }>('gateway', 'POST', '/consumers', { name: 'test' }));
    await manage('gateway', 'POST', '/channels', { descriptor }, apiKey);
    await eventually(
      'a first voucher of 1 is taken',
      async () => Boolean(await manage('gateway', 'POST', '/vouchers', signVoucher(1n), apiKey)),
      20_000,
    );
    const poor = await eventually('the model is known', async () => {
      const response = await digit(samples.samples[0]!.pixels);
      return response.status !== 503 && response;
    });
    expect(poor.status).toBe(402);
    expect([poor.headers.get('x-cupel-required'), poor.headers.get('x-cupel-missing')]).toEqual(['1000', '999']);
    expect(await poor.json()).toMatchObject({
      error: { code: 'insufficient_voucher', type: 'insufficient_quota', message: expect.stringContaining('999') },
    });
    await manage('gateway', 'POST', '/vouchers', signVoucher(10_000_000n), apiKey);
    const paid = await digit(samples.samples[0]!.pixels);
    expect([paid.status, await paid.text()]).toEqual([200, expect.stringContaining('outputs')]);
    await note(paid.headers);
  });

  test('20 chats, half of them streaming, and 30 digits: every answer right and receipted', { timeout: 60_000 }, async () => {
    const client = new OpenAI({ baseURL: `${baseUrl}/v1`, apiKey, maxRetries: 0 });
    const ask = { model: 'assistant', messages: [{ role: 'user' as const, content: 'Hello' }] };
    const texts: string[] = [];
    const chat = async (n: number): Promise<void> => {
      let text = '';
      const { data, response } =
        n % 2 === 0
          ? await client.chat.completions.create(ask).withResponse()
          : await client.chat.completions.create({ ...ask, stream: true }).withResponse();
      if ('choices' in data) text = data.choices[0]!.message.content ?? '';
      else for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? '';
      texts.push(text);
      await note(response.headers);
    };
    const pixel = async (n: number): Promise<number> => {
      const sample = samples.samples[n]!;
      const response = await digit(sample.pixels);
      const body = (await response.json()) as { outputs: { data: number[] }[] };
      await note(response.headers);
      const scores = body.outputs[0]!.data;
      return scores.indexOf(Math.max(...scores)) === sample.label ? 1 : 0;
    };
    for (let n = 0; n < 10; n++) await chat(n);
    await Promise.all(Array.from({ length: 10 }, (_, n) => chat(n)));
    let right = 0;
    for (let n = 0; n < 15; n++) right += await pixel(n);
    right += (await Promise.all(Array.from({ length: 15 }, (_, n) => pixel(15 + n)))).reduce((a, b) => a + b, 0);
    expect(texts).toEqual(Array.from({ length: 20 }, () => 't0 t1 t2 t3 t4 '));
    expect(right).toBeGreaterThan(26);
    expect(seen).toHaveLength(51);
    expect(new Set(seen.map((s) => s.id)).size).toBe(51);
  });

  test('the verifier finds payload and receipt of every answer', async () => {
    const { id } = seen.at(-1)!;
    const found = await verifier.call(paymentSubject('gateway.main', 'receipt'), { version: 1, requestId: id }, receiptValue);
    expect(found).toMatchObject({
      ok: true,
      value: { charged: true, envelope: { receipt: { requestId: id, inputUnits: 196n, outputUnits: 10n } } },
    });
  });

  test('both ledgers charged the sum of the receipts, and both redeem it, rounded up once', { timeout: 60_000 }, async () => {
    const sum = seen.reduce((total, { price }) => total + price, 0n);
    interface Ledger {
      readonly totals: { readonly chargedMicro: string };
    }
    for (const role of ['gateway', 'edge'] as const) {
      const { totals } = await manage<Ledger>(role, 'GET', '/ledger');
      expect([role, totals.chargedMicro]).toEqual([role, String(sum)]);
    }
    const dollars = async (address: Hex): Promise<bigint> =>
      BigInt(
        await market.client.call({ to: market.deployment.contracts.paymentToken, data: `0x70a08231${address.slice(2).padStart(64, '0')}` }),
      );
    const owed = (sum + 999_999n) / 1_000_000n;
    const payees = { gateway: signerOf(GATEWAY_PAYOUT).address, edge: signerOf(PROVIDER).address };
    for (const role of ['gateway', 'edge'] as const) {
      const before = await dollars(payees[role]);
      await manage(role, 'POST', '/settle', {});
      expect((await dollars(payees[role])) - before).toBe(owed);
    }
  });
});
