import { inputHash } from '@cupel/integer/tensor';
import { bytesToHex, hexToBytes } from '@cupel/protocol/hex';
import { channelIdOf, paramsHashOf } from '@cupel/protocol/ids';
import { baseUnits, micro } from '@cupel/protocol/money';
import type { ChargeRequest, Engine } from '@cupel/protocol/wire/bus';
import { encodeJson } from '@cupel/protocol/wire/scalars';
import { keccak256 } from '@cupel/signing/keccak';
import { fakeClock } from '@cupel/testing/clock';
import { memoryLogger } from '@cupel/testing/logger';
import { expect, test } from 'vitest';

import { inferBody } from '../../src/admit/infer-request.ts';
import { LeaseBook } from '../../src/admit/leases.ts';
import { signedHeaders } from '../../src/admit/session-mac.ts';
import { Edge } from '../../src/edge/edge.ts';
import { equalBytes, hmac } from '../../src/io/crypto.ts';
import type { Exchange, Upstream } from '../../src/stream/exchange.ts';
import { FakeReply } from '../gateway/fakes.ts';

const hash = (byte: string): `0x${string}` => `0x${byte.repeat(32)}`;
const address = `0x${'0c'.repeat(20)}` as const;
const signature = `0x${'00'.repeat(64)}` as const;
const KEY = hash('77');
const descriptor = { payer: address, payee: address, token: address, signerKind: 0, signer: address, withdrawDelay: 1, salt: hash('00') };
const channelId = channelIdOf(keccak256, descriptor);
const INPUT = Uint8Array.of(1, 2, 3);
const engine: Engine = {
  modelId: hash('01'),
  versionId: hash('02'),
  publicName: 'digits',
  kind: 'integer',
  url: 'http://engine:8000',
  mode: 'IntegerExecution',
  prices: { inputPerMillion: baseUnits(0n), outputPerMillion: baseUnits(0n), perRequest: baseUnits(1n) },
  manifestSha256: 'd'.repeat(64),
  verificationRoot: hash('05'),
  draining: false,
};
let requests = 0;

/** An edge with one session; its engine answers with `output`. */
const open = async (options: { readonly output?: number[]; readonly engine?: Partial<Engine> } = {}) => {
  const clock = fakeClock();
  const logger = memoryLogger();
  const charges: ChargeRequest[] = [];
  const output = options.output ?? [9, 8, 7];
  const answer = JSON.stringify({ outputs: [{ name: 'o', datatype: 'UINT8', shape: [1, output.length], data: output }] });
  const upstream: Upstream = {
    send(_request, listener) {
      const call = { pause: () => undefined, resume: () => undefined, abort: () => undefined };
      const sink = listener.head({ status: 200, headers: {} }, call);
      sink.data(Buffer.from(answer));
      sink.end({});
      return call;
    },
  };
  const source = {
    lease: async ({ minimum }: { readonly minimum: bigint }) => ({
      leaseId: 'l',
      channelId,
      amount: micro(minimum),
      expiresAtMs: clock.nowMs() + 300_000,
    }),
    release: async () => undefined,
  };
  const payments = {
    ...source,
    session: async () => ({ channelId, notAfter: 4_000_000_000n }),
    voucher: async () => ({ channelId }),
    receipt: async () => ({ reason: 'not_found', message: 'none' }) as const,
    charge: async (request: ChargeRequest) => {
      charges.push(request);
      const { params, ...draft } = request.draft!;
      const receipt = {
        ...draft,
        requestId: request.requestId,
        paramsHash: paramsHashOf(keccak256, params),
        price: request.price as bigint,
        cumulative: 1n,
        beneficiary: address,
        issuedAt: 1n,
      };
      const grant = { versionId: draft.versionId, signer: address, notAfter: 1n, signature };
      return { requestId: request.requestId, cumulative: micro(1n), envelope: { version: 1 as const, receipt, signature, grant, params } };
    },
  };
  const nothing = (): void => undefined;
  const observer = { request: nothing, firstByte: nothing, inFlight: nothing, attempt: nothing, billed: nothing, unfitReceipt: nothing };
  const edge = new Edge(
    {
      payments,
      engines: () => [{ ...engine, ...options.engine }],
      upstream,
      observer,
      seed: () => 1,
      clock,
      logger,
      keccak: keccak256,
      hmac,
      equalBytes,
      sleep: async () => undefined,
    },
    new LeaseBook({ source, clock, ahead: 1n, marginMs: 0, idleMs: 1000, onRenewFailed: nothing }),
    {
      answerBytes: 10_000,
      concurrency: { perTenant: 2, total: 100 },
      arriving: { perTenant: 3, total: 100 },
      headersTimeoutMs: 1000,
      idleTimeoutMs: 1000,
    },
  );
  const post = async (run: 'session' | 'infer', about: Omit<Exchange, 'reply' | 'body'> & { readonly body: Exchange['body'] }) => {
    const reply = new FakeReply();
    await edge[run]({ ...about, reply });
    return { status: reply.heads[0]?.status, text: reply.written.join(''), headers: reply.heads[0]?.headers };
  };
  const session = { channelId, keyHash: bytesToHex(keccak256(hexToBytes(KEY))), maxUnpaid: 0n, notAfter: 4_000_000_000n };
  const opened = await post('session', {
    remoteAddress: '192.0.2.1',
    headers: {},
    body: async () => Buffer.from(encodeJson({ descriptor, session, signature, key: KEY })),
  });
  expect(opened.status).toBe(200);
  const infer = (about: { readonly from?: string; readonly key?: `0x${string}`; readonly body?: Exchange['body'] } = {}) => {
    requests += 1;
    const signed = {
      requestId: `0x${requests.toString(16).padStart(64, '0')}` as const,
      channelId,
      versionId: engine.versionId,
      salt: hash('05'),
      timestamp: BigInt(Math.floor(clock.nowMs() / 1000)),
    };
    return post('infer', {
      remoteAddress: about.from ?? '192.0.2.1',
      headers: signedHeaders(hmac, about.key ?? KEY, signed, inputHash(hexToBytes(signed.salt), INPUT)),
      body: about.body ?? (async () => Buffer.from(inferBody(INPUT))),
    });
  };
  return { edge, infer, charges };
};

test('a stranger who never ends his bodies fills his own places, not those of the channel', async () => {
  const { edge, infer } = await open();
  const never = (): Promise<never> => new Promise(() => undefined);
  const strangers = ['203.0.113.9', '2001:db8::1', '2001:db8::2', '::ffff:203.0.113.9'];
  for (let i = 0; i < 8; i++) void infer({ from: strangers[i % 2]!, key: hash('66'), body: never });
  await Promise.resolve();
  expect(edge.inFlight).toBe(0);
  expect((await infer()).status).toBe(200);
  // An IPv6 host has its whole /64; a mapped address is the IPv4 address.
  for (const from of strangers) expect((await infer({ from })).status).toBe(429);
});

test('a forged request takes no place of the channel and does not use the id up; a place is given back', async () => {
  const { infer, charges } = await open();
  for (let i = 0; i < 5; i++) expect((await infer({ key: hash('66') })).status).toBe(401);
  for (let i = 0; i < 5; i++) expect((await infer()).status).toBe(200);
  expect(charges).toHaveLength(5);
});

test('an output of another length than the model has is not signed', async () => {
  const good = await open({ engine: { outputLength: 3 } });
  expect((await good.infer()).status).toBe(200);
  for (const output of [
    [1, 2],
    [1, 2, 3, 4],
  ]) {
    const bad = await open({ output, engine: { outputLength: 3 } });
    const answer = await bad.infer();
    expect([answer.status, answer.text]).toEqual([502, expect.stringContaining('engine_failed')]);
    expect(bad.charges).toEqual([]);
  }
});

test('an output that the hold does not cover is not signed, also where its length is not known', async () => {
  const e = await open({ output: Array.from({ length: 4097 }, () => 1) });
  expect((await e.infer()).status).toBe(502);
  expect(e.charges).toEqual([]);
});
