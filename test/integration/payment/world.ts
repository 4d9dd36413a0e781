import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Bus } from '@cupel/bus/bus';
import { connectBus } from '@cupel/bus/connection';
import { permissionsOf } from '@cupel/bus/permissions';
import type { BusUser } from '@cupel/bus/permissions';
import { startNats } from '@cupel/local/processes/nats';
import type { Nats } from '@cupel/local/processes/nats';
import { digester, SIGNER_GRANT, VOUCHER } from '@cupel/protocol/eip712';
import type { Hex } from '@cupel/protocol/hex';
import { channelIdOf } from '@cupel/protocol/ids';
import { baseUnits } from '@cupel/protocol/money';
import { channelState, claimState, disputeState, headState, registryEntry } from '@cupel/protocol/wire/projections';
import { encodeJson } from '@cupel/protocol/wire/scalars';
import { kvKey } from '@cupel/protocol/wire/subjects';
import { keccak256 } from '@cupel/signing/keccak';
import { signerFromKey } from '@cupel/signing/secp256k1';
import { memoryLogger } from '@cupel/testing/logger';
import { eventually } from '@cupel/testing/wait';

/** A real NATS server, a payment process as a child, and the test in the roles of watcher and router. */

export const hex32 = (n: number | bigint): Hex => `0x${n.toString(16).padStart(64, '0')}`;
export const hex20 = (n: number): Hex => `0x${n.toString(16).padStart(40, '0')}`;
export const keyOf = (n: number): Hex => hex32(1_000_000 + n);

export const CHAIN_ID = 31337;
export const contracts = {
  stakeToken: hex20(0xa1),
  paymentToken: hex20(0xa2),
  stakeVault: hex20(0xa3),
  modelRegistry: hex20(0xa4),
  paymentChannels: hex20(0xa5),
  claimManager: hex20(0xa6),
  disputeManager: hex20(0xa7),
} as const;
export const payer = signerFromKey(keyOf(1));
export const owner = signerFromKey(keyOf(2));
export const receiptSigner = signerFromKey(keyOf(3));
export const payout = hex20(0xb1);
export const modelId = hex32(0xc1);
export const versionId = hex32(0xc2);
export const SCOPE = 'edge.honest.main';
export const ADMIN_TOKEN = 'the-admin-token-of-this-test';

export const descriptor = {
  payer: payer.address,
  payee: payout,
  token: contracts.paymentToken,
  signerKind: 0,
  signer: payer.address,
  withdrawDelay: 86_400,
  salt: hex32(1),
} as const;
export const channelId = channelIdOf(keccak256, descriptor);

const voucherDigest = digester(keccak256, VOUCHER, {
  name: 'PaymentChannels',
  chainId: BigInt(CHAIN_ID),
  verifyingContract: contracts.paymentChannels,
});
export const voucherOf = (amount: bigint) => ({
  version: 1,
  channelId,
  descriptor,
  maxClaimableAmount: baseUnits(amount),
  signature: payer.sign(voucherDigest({ channelId, maxClaimableAmount: amount })),
});

const grants = () => {
  const grant = { versionId, signer: receiptSigner.address, notAfter: 4_000_000_000n };
  const domain = { name: 'ModelRegistry', chainId: BigInt(CHAIN_ID), verifyingContract: contracts.modelRegistry } as const;
  return [{ ...grant, signature: owner.sign(digester(keccak256, SIGNER_GRANT, domain)(grant)) }];
};

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

export interface PaymentProcess {
  readonly child: ChildProcess;
  /** What it has logged so far. */
  log(): string;
  /** Resolves with the exit code, or the signal's name. */
  readonly exited: Promise<number | string>;
  kill(): Promise<void>;
  stop(): Promise<number | string>;
}

const MAIN = new URL('../../../services/payment/src/main.ts', import.meta.url).pathname;

/** Starts `command` (default: node with payment's main.ts) and resolves once it says that it is ready. */
export const startPayment = async (configPath: string, wrap: readonly string[] = []): Promise<PaymentProcess> => {
  const process_ = launchPayment(configPath, wrap);
  await eventually('payment to be ready', () => {
    if (process_.child.exitCode !== null) throw new Error(`payment has exited:\n${process_.log()}`);
    return process_.log().includes('payment is ready');
  });
  return process_;
};

export const launchPayment = (configPath: string, wrap: readonly string[] = []): PaymentProcess => {
  const [command, ...args] = [...wrap, process.execPath, MAIN];
  const child = spawn(command!, args, { env: { CUPEL_CONFIG: configPath }, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  // A test that fails leaves nobody behind.
  const orphan = (): void => void child.kill('SIGKILL');
  process.once('exit', orphan);
  child.once('exit', () => process.off('exit', orphan));
  const exited = new Promise<number | string>((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown')));
  const end = async (signal: NodeJS.Signals): Promise<number | string> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    return exited;
  };
  return { child, log: () => log, exited, kill: async () => void (await end('SIGKILL')), stop: () => end('SIGTERM') };
};

export const NATS_PASSWORD = 'secret-of-nats-20-chars';

/** One account in which `users` may do what their role may, and `test` everything. */
export const natsConfig = (users: readonly BusUser[]): string => {
  const restricted = users.map((user) => {
    const { publish, subscribe } = permissionsOf(user);
    const allow = `publish: {allow: ${JSON.stringify(publish)}}, subscribe: {allow: ${JSON.stringify(subscribe)}}`;
    return `{user: ${user.user}, password: "${NATS_PASSWORD}", permissions: {${allow}, allow_responses: {max: 1, expires: "2m"}}}`;
  });
  return `max_payload: 8388608\naccounts { party: { jetstream: enabled, users: [${restricted.join(', ')}, {user: test, password: "${NATS_PASSWORD}"}] } }`;
};

export interface World extends AsyncDisposable {
  readonly nats: Nats;
  readonly bus: Bus;
  readonly folder: string;
  readonly configPath: string;
  readonly ledgerPath: string;
  readonly managementUrl: string;
  /** Writes the watcher's buckets; heads are kept fresh until it is disposed. */
  project(): Promise<void>;
  /** Stops keeping the heads fresh. */
  loseChain(): void;
}

/** `deposit`: base units of the one channel. */
export const openWorld = async (options: { readonly deposit?: bigint; readonly overConfig?: object } = {}): Promise<World> => {
  const stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'cupel-payment-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const nats = stack.use(await startNats({ config: natsConfig([{ user: 'payment', role: 'edge-payment', scope: SCOPE }]) }));
  const bus = stack.use(await connectBus({ url: nats.url, user: 'test', password: NATS_PASSWORD, name: 'test', logger: memoryLogger() }));
  const [managementPort, rpcPort] = [await freePort(), await freePort()];
  const file = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content, { mode: 0o600 });
    return join(folder, name);
  };
  const ledgerPath = join(folder, 'ledger', 'ledger.sqlite');
  const config = {
    role: 'edge',
    scope: SCOPE,
    log: { level: 'info' },
    metricsPort: 0,
    managementPort,
    nats: { url: nats.url, userFile: file('user', 'payment'), passwordFile: file('password', NATS_PASSWORD) },
    market: { chainId: CHAIN_ID, rpc: [{ name: 'nobody', url: `http://127.0.0.1:${rpcPort}` }], contracts },
    ledgerPath,
    adminTokenFile: file('admin', ADMIN_TOKEN),
    payloadKeyFile: file('payload', `0x${randomBytes(32).toString('hex')}`),
    payloadTtlSeconds: 3600,
    exposureBaseUnits: '1000',
    minWithdrawDelaySeconds: 86_400,
    settle: { thresholdBaseUnits: '1000000000000', safetySeconds: 60, keyFile: file('redeemer', keyOf(9)) },
    payee: payout,
    edge: {
      receiptKeyFile: file('receipt', keyOf(3)),
      grantsFile: file('grants.json', encodeJson(grants())),
      claims: { everySeconds: 3600, maxCount: 1000 },
    },
    ...options.overConfig,
  };
  const configPath = file('config.json', JSON.stringify(config));

  let block = 10;
  let seeing = true;
  const heads = async (): Promise<void> => {
    block += 1;
    const kv = bus.kv('head', headState);
    const at = (number: number) =>
      ({ version: 1, number, hash: hex32(number), timestamp: Math.floor(Date.now() / 1000), seenAtMs: Date.now() }) as const;
    await Promise.all([kv.put('latest', at(block)), kv.put('safe', at(block - 1)), kv.put('finalized', at(block - 2))]);
  };
  const project = async (): Promise<void> => {
    await Promise.all(['head', 'registry', 'channels', 'disputes', 'claims', 'stakes'].map((bucket) => bus.ensureKv(bucket)));
    await heads();
    await bus.kv('registry', registryEntry).put(kvKey(modelId), {
      version: 1,
      modelId,
      owner: owner.address,
      slug: 'honest/digits',
      payout,
      versionId,
      versionNumber: 1,
      manifestSha256: '0'.repeat(64),
      verificationRoot: hex32(3),
      mode: 'IntegerExecution',
      arbiter: hex20(0xa8),
      prices: { inputPerMillion: baseUnits(0n), outputPerMillion: baseUnits(0n), perRequest: baseUnits(1n) },
      endpoint: 'http://edge.example',
      specializations: [],
      status: 'active',
      faults: 0,
      registeredAtBlock: 1,
    });
    await bus.kv('channels', channelState).put(kvKey(channelId), {
      version: 1,
      channelId,
      descriptor,
      deposit: options.deposit ?? 1_000_000n,
      settled: 0n,
      closeAt: 0,
      status: 'open',
      openedAtBlock: 1,
    });
  };
  const timer = setInterval(() => {
    if (seeing) void heads().catch(() => undefined);
  }, 1000);
  stack.defer(() => clearInterval(timer));
  await project();
  return {
    nats,
    bus,
    folder,
    configPath,
    ledgerPath,
    managementUrl: `http://127.0.0.1:${managementPort}/manage/v1`,
    project,
    loseChain() {
      seeing = false;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
};

export { claimState, disputeState };
