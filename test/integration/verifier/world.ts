import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Bus } from '@cupel/bus/bus';
import { connectBus } from '@cupel/bus/connection';
import { permissionsOf } from '@cupel/bus/permissions';
import type { BusUser } from '@cupel/bus/permissions';
import { loadModel, run } from '@cupel/integer/run';
import { inputHash, outputHash } from '@cupel/integer/tensor';
import { startAnvil } from '@cupel/local/processes/anvil';
import type { Anvil } from '@cupel/local/processes/anvil';
import { startNats } from '@cupel/local/processes/nats';
import { CONSENT, RECEIPT, digester } from '@cupel/protocol/eip712';
import { bytesToHex, hexToBytes } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import { channelIdOf, paramsHashOf, saltedHash } from '@cupel/protocol/ids';
import { baseUnits } from '@cupel/protocol/money';
import { refuse } from '@cupel/protocol/reasons';
import { consentRequest, payloadRequest } from '@cupel/protocol/wire/bus';
import type { Payload, ReceiptEvent } from '@cupel/protocol/wire/bus';
import type { Manifest } from '@cupel/protocol/wire/manifest';
import type { Mode } from '@cupel/protocol/wire/projections';
import type { AnswerParams } from '@cupel/protocol/wire/receipt';
import { registryEntry } from '@cupel/protocol/wire/projections';
import { kvKey, paymentSubject, receiptsStream, receiptsSubject } from '@cupel/protocol/wire/subjects';
import { keccak256 } from '@cupel/signing/keccak';
import { signerFromKey } from '@cupel/signing/secp256k1';
import { buildDescriptor, buildEnvelope, testDomain, testSigner } from '@cupel/testing/builders';
import { memoryLogger } from '@cupel/testing/logger';
import { deployTestMarket } from '@cupel/testing/market';
import type { TestMarket } from '@cupel/testing/market';
import { eventually } from '@cupel/testing/wait';

/** A real chain, real contracts, a real NATS server and the verifier as a child; the test plays payment and the watcher. */

const ROOT = new URL('../../../', import.meta.url).pathname;
const MAIN = join(ROOT, 'services/verifier/src/main.ts');
const REDRAW = join(ROOT, 'services/verifier/src/cli/redraw.ts');
export const DIGITS = join(ROOT, 'models/digits');
export const SCOPE = 'gateway.main';
export const EDGE_SCOPE = 'edge.honest.edge';
const PASSWORD = 'secret-of-nats-20-chars';

const digits = ((): { manifestSha256: string; root: Hex; model: ReturnType<typeof loadModel> } => {
  const text = readFileSync(join(DIGITS, 'cupel-manifest.json'));
  const manifest = JSON.parse(text.toString()) as Manifest;
  return {
    manifestSha256: createHash('sha256').update(text).digest('hex'),
    root: manifest.integer!.verificationRoot,
    model: loadModel(readFileSync(join(DIGITS, 'program.bin')), readFileSync(join(DIGITS, 'weights.bin'))),
  };
})();
export const DIGITS_SHA256 = digits.manifestSha256;
export const CHAT_SHA256 = 'c4'.repeat(32);

export interface Process {
  readonly child: ChildProcess;
  log(): string;
  kill(): Promise<void>;
  stop(): Promise<number | string>;
}

const launch = (configPath: string): Process => {
  const child = spawn(process.execPath, [MAIN], { env: { CUPEL_CONFIG: configPath }, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const orphan = (): void => void child.kill('SIGKILL');
  process.once('exit', orphan);
  const exited = new Promise<number | string>((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown')));
  const end = async (signal: NodeJS.Signals): Promise<number | string> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    const code = await exited;
    process.off('exit', orphan);
    return code;
  };
  return { child, log: () => log, kill: async () => void (await end('SIGKILL')), stop: () => end('SIGTERM') };
};

const natsConfig = (users: readonly BusUser[]): string => {
  const restricted = users.map((user) => {
    const { publish, subscribe } = permissionsOf(user);
    const allow = `publish: {allow: ${JSON.stringify(publish)}}, subscribe: {allow: ${JSON.stringify(subscribe)}}`;
    return `{user: ${user.user}, password: "${PASSWORD}", permissions: {${allow}, allow_responses: {max: 1, expires: "2m"}}}`;
  });
  return `max_payload: 8388608\naccounts { party: { jetstream: enabled, users: [${restricted.join(', ')}, {user: test, password: "${PASSWORD}"}] } }`;
};

export interface Model {
  readonly modelId: Hex;
  readonly versionId: Hex;
  readonly account: number;
  readonly mode: Mode;
}

export interface Answered {
  /** What the stream was told. */
  readonly event: ReceiptEvent;
  readonly digest: Hex;
  readonly requestId: Hex;
}

export interface RedrawJson {
  readonly code: number;
  readonly out: {
    readonly epochs: readonly {
      readonly number: number;
      readonly rate: number;
      readonly receipts: number;
      readonly sampled: number;
      readonly reproduced: boolean;
      readonly problems: readonly string[];
    }[];
    readonly [key: string]: unknown;
  };
}

export interface World extends AsyncDisposable {
  readonly anvil: Anvil;
  readonly market: TestMarket;
  readonly bus: Bus;
  readonly folder: string;
  readonly statePath: string;
  readonly verifier: Hex;
  /** Consents that payment has signed, by receipt digest; `hold` makes it wait. */
  readonly consents: Map<Hex, number>;
  onConsent: () => Promise<void>;
  /** From here on a block a second, as in the demo; before it a block per transaction. */
  blocksEverySecond(): Promise<void>;
  /** Transactions of the verifier's key to a contract. */
  sentTo(address: Hex): Promise<number>;
  register(
    account: number,
    slug: string,
    mode: Mode,
    more?: { readonly verificationRoot?: Hex; readonly manifestSha256?: string },
  ): Promise<Model>;
  /** Publishes the receipt of one digits answer; `lie` changes the output before it is signed, `damaged` only what payment keeps. */
  answerDigits(
    model: Model,
    options?: { readonly lie?: boolean; readonly scope?: string; readonly kept?: boolean; readonly damaged?: boolean },
  ): Promise<Answered>;
  answerChat(model: Model, options: { readonly params: AnswerParams; readonly text: string; readonly tokens?: number }): Promise<Answered>;
  start(config?: object): Promise<Process>;
  launch(config?: object): Process;
  redraw(path?: string, more?: readonly string[]): Promise<RedrawJson>;
  verdictOf(digest: Hex): Promise<string>;
}

const randomWord = (): Hex => bytesToHex(crypto.getRandomValues(new Uint8Array(32)));
const hexOf = (bytes: Uint8Array): Hex => `0x${Buffer.from(bytes).toString('hex')}`;

export const payer = testSigner(33);
const receiptSigner = testSigner(34);
const VERIFIER_ACCOUNT = 9;

export const openWorld = async (): Promise<World> => {
  const stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'cupel-verifier-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const anvil = stack.use(await startAnvil());
  const market = await deployTestMarket(anvil);
  const { contracts } = market.deployment;
  const nats = stack.use(
    await startNats({
      config: natsConfig([
        { user: 'verifier', role: 'verifier', scope: SCOPE },
        { user: 'defender', role: 'defender', scope: EDGE_SCOPE },
      ]),
    }),
  );
  const bus = stack.use(await connectBus({ url: nats.url, user: 'test', password: PASSWORD, name: 'test', logger: memoryLogger() }));
  for (const bucket of ['registry', 'disputes']) await bus.ensureKv(bucket);
  const file = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content, { mode: 0o600 });
    return join(folder, name);
  };

  const payloads = new Map<Hex, { readonly payload: Payload; readonly event: ReceiptEvent }>();
  const consents = new Map<Hex, number>();
  const consentDigest = digester(keccak256, CONSENT, testDomain('DisputeManager', contracts, anvil.chainId));
  const receiptDigest = digester(keccak256, RECEIPT, testDomain('ModelRegistry', contracts, anvil.chainId));
  const hooks = { onConsent: async (): Promise<void> => undefined };
  for (const scope of [SCOPE, EDGE_SCOPE]) {
    await bus.ensureStream({ name: receiptsStream(scope), subjects: [receiptsSubject(scope)], maxAgeMs: 3_600_000, maxBytes: 1 << 24 });
    await bus.serve(paymentSubject(scope, 'payload'), payloadRequest, ({ requestId }) => {
      const kept = payloads.get(requestId);
      if (!kept) return refuse('not_found', 'there is no payload');
      const { envelope, descriptor, publicName } = kept.event;
      return { payload: kept.payload, envelope, descriptor, publicName };
    });
    await bus.serve(paymentSubject(scope, 'consent'), consentRequest, async ({ receiptDigest: receipt, challenger, requestId }) => {
      await hooks.onConsent();
      const known = payloads.get(requestId);
      if (!known) return refuse('not_found', 'there is no such receipt');
      consents.set(receipt, (consents.get(receipt) ?? 0) + 1);
      const notAfter = BigInt(Math.floor(Date.now() / 1000) + 3600);
      return { notAfter, signature: payer.sign(consentDigest({ receipt, challenger, notAfter })), descriptor: known.event.descriptor };
    });
  }

  const publish = async (
    model: Model,
    scope: string,
    kept: boolean,
    payload: Payload,
    hashes: { input: Hex; output: Hex },
    params: AnswerParams,
    units: { input: bigint; output: bigint },
  ): Promise<Answered> => {
    const owner = signerFromKey(anvil.accounts[model.account]!.privateKey);
    const descriptor = buildDescriptor({ payer: payer.address, payee: owner.address, token: contracts.paymentToken });
    const requestId = randomWord();
    const envelope = buildEnvelope({
      params,
      owner,
      receiptSigner,
      domain: testDomain('ModelRegistry', contracts, anvil.chainId),
      receipt: {
        versionId: model.versionId,
        requestId,
        channelId: channelIdOf(keccak256, descriptor),
        inputHash: hashes.input,
        outputHash: hashes.output,
        paramsHash: paramsHashOf(keccak256, params),
        inputUnits: units.input,
        outputUnits: units.output,
        price: 1_000_000_000n,
        cumulative: 1_000_000_000n,
        beneficiary: payer.address,
        issuedAt: BigInt((await market.client.head('latest')).timestamp),
      },
    });
    const digest = bytesToHex(receiptDigest(envelope.receipt));
    const event: ReceiptEvent = {
      version: 1,
      envelope,
      receiptDigest: digest,
      modelId: model.modelId,
      publicName: 'model',
      descriptor,
      heldAtMs: Date.now(),
    };
    if (kept) payloads.set(requestId, { payload, event });
    await bus.publish(receiptsSubject(scope), event, { msgId: requestId });
    return { event, digest, requestId };
  };

  const configOf = (more: object): string => {
    const role = 'role' in more && more.role === 'defender' ? 'defender' : 'verifier';
    const config = {
      role,
      scope: role === 'defender' ? EDGE_SCOPE : SCOPE,
      metricsPort: 0,
      nats: { url: nats.url, userFile: file(`user-${role}`, role), passwordFile: file('password', PASSWORD) },
      market: { chainId: anvil.chainId, rpc: [{ name: 'anvil', url: anvil.rpcUrl }], contracts },
      statePath: join(folder, `${role}.sqlite`),
      keyFile: file('key', anvil.accounts[VERIFIER_ACCOUNT]!.privateKey),
      epochSeconds: 1,
      sampleRate: 1,
      beaconDelayBlocks: 1,
      models: [{ kind: 'integer', manifestSha256: DIGITS_SHA256, path: DIGITS }],
      dispute: { enabled: true },
      ...more,
    };
    return file(`${role}.json`, JSON.stringify(config));
  };

  return {
    anvil,
    market,
    bus,
    folder,
    statePath: join(folder, 'verifier.sqlite'),
    verifier: signerFromKey(anvil.accounts[VERIFIER_ACCOUNT]!.privateKey).address,
    consents,
    set onConsent(hook: () => Promise<void>) {
      hooks.onConsent = hook;
    },
    async register(account, slug, mode, more = {}) {
      const manifestSha256 = more.manifestSha256 ?? DIGITS_SHA256;
      const verificationRoot = more.verificationRoot ?? (mode === 'IntegerExecution' ? digits.root : `0x${'00'.repeat(32)}`);
      const terms = { manifestHash: `0x${manifestSha256}` as const, verificationRoot, mode };
      const { modelId, versionId, owner } = await market.registerModel(account, slug, { terms });
      const { arbiter } = await market.views.version(versionId);
      await bus.kv('registry', registryEntry).put(kvKey(modelId), {
        version: 1,
        modelId,
        owner,
        slug,
        payout: owner,
        versionId,
        versionNumber: 1,
        manifestSha256,
        verificationRoot,
        mode,
        arbiter,
        prices: { inputPerMillion: baseUnits(0n), outputPerMillion: baseUnits(0n), perRequest: baseUnits(1000n) },
        endpoint: 'https://edge.test',
        specializations: [],
        status: 'active',
        faults: 0,
        registeredAtBlock: 1,
      });
      return { modelId, versionId, account, mode };
    },
    async answerDigits(model, { lie = false, scope = SCOPE, kept = true, damaged = false } = {}) {
      const input = crypto.getRandomValues(new Uint8Array(digits.model.program.inputLength));
      const output = Uint8Array.from(run(digits.model, input));
      if (lie) output[0]! ^= 0xff;
      const salt = randomWord();
      const hashes = { input: inputHash(hexToBytes(salt), input), output: outputHash(output) };
      if (damaged) output[1]! ^= 0xff;
      return publish(
        model,
        scope,
        kept,
        { salt, input: hexOf(input), output: hexOf(output) },
        hashes,
        {},
        { input: BigInt(input.length), output: BigInt(output.length) },
      );
    },
    async answerChat(model, { params, text, tokens = 5 }) {
      const salt = randomWord();
      const input = Buffer.from(
        JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }], max_tokens: 16, temperature: params.temperature }),
      );
      const body = {
        choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: text } }],
        usage: { prompt_tokens: 3, completion_tokens: tokens },
      };
      const output = Buffer.from(JSON.stringify(body));
      const hashes = { input: saltedHash(keccak256, salt, input), output: saltedHash(keccak256, salt, output) };
      return publish(model, SCOPE, true, { salt, input: hexOf(input), output: hexOf(output) }, hashes, params, {
        input: 3n,
        output: BigInt(tokens),
      });
    },
    launch: (config = {}) => launch(configOf(config)),
    async start(config = {}) {
      const started = launch(configOf(config));
      stack.defer(() => started.kill());
      await eventually(
        'the service to be ready',
        () => {
          if (started.child.exitCode !== null) throw new Error(`it has exited:\n${started.log()}`);
          return /(verifier|defender) is ready/.test(started.log());
        },
        20_000,
      );
      return started;
    },
    async redraw(path = join(folder, 'verifier.sqlite'), more = ['--rpc', anvil.rpcUrl]) {
      const child = spawn(process.execPath, [REDRAW, 'redraw', '--state', path, '--json', ...more], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
      const code = await new Promise<number>((resolve) => child.once('exit', (c) => resolve(c ?? -1)));
      return { code, out: JSON.parse(text) as RedrawJson['out'] };
    },
    async blocksEverySecond() {
      await anvil.rpc('evm_setAutomine', [false]);
      await anvil.rpc('evm_setIntervalMining', [1]);
    },
    async sentTo(address) {
      const from = signerFromKey(anvil.accounts[VERIFIER_ACCOUNT]!.privateKey).address;
      const { number } = await market.client.head('latest');
      let count = 0;
      for (let n = 0; n <= number; n++) {
        const block = (await anvil.rpc('eth_getBlockByNumber', [`0x${n.toString(16)}`, true])) as {
          transactions: { from: string; to: string | null }[];
        };
        count += block.transactions.filter((t) => t.from.toLowerCase() === from && t.to?.toLowerCase() === address).length;
      }
      return count;
    },
    verdictOf: (digest) => market.views.verdict(digest),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
};
