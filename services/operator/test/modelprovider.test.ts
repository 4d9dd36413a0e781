import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { decide } from '../src/reconcilers/modelprovider/decide.ts';
import { observe } from '../src/reconcilers/modelprovider/observe.ts';
import { NAME, OPERATOR, ROOT, SHA, Twin, settings, specOf, verifiedText } from './twin.ts';

const settled = async (change: (twin: Twin) => void = () => undefined): Promise<Twin> => {
  const twin = new Twin();
  change(twin);
  await twin.settle();
  return twin;
};

const serving = async (): Promise<Twin> => {
  const twin = await settled();
  expect(twin.condition('Ready')).toMatchObject({ status: 'True', reason: 'Serving' });
  return twin;
};

describe('the way to Ready', () => {
  test('registers once, with what the pod verified, then stakes and tells the edge', async () => {
    const twin = await serving();
    expect(twin.sent.map(({ kind }) => kind)).toEqual(['register', 'deposit']);
    expect(twin.sent[0]).toMatchObject({
      slug: 'honest/digits',
      terms: { manifestHash: `0x${SHA}`, verificationRoot: ROOT, mode: 'IntegerExecution' },
      prices: { perRequest: 1000n },
      endpoint: 'http://edge.honest.svc',
    });
    expect(twin.chain.stake).toMatchObject({ free: 100n * 10n ** 18n, bond: 5_000_000n });
    expect([...twin.engines.values()]).toMatchObject([
      { publicName: 'digits', kind: 'integer', draining: false, url: 'http://digits-engine.honest.svc:8000', outputLength: 1 },
    ]);
    expect(twin.object?.status?.conditions?.map(({ type, status }) => `${type}=${status}`)).toEqual([
      'Accepted=True',
      'Placed=True',
      'ManifestVerified=True',
      'WorkloadReady=True',
      'AnswerSeen=True',
      'Registered=True',
      'Staked=True',
      'EndpointPublished=True',
      'Ready=True',
    ]);
    expect(twin.object?.status).toMatchObject({ price: '0.001 per request', onChain: { stake: '100', bond: '5', registeredAtBlock: 7 } });
  });

  test('an object at rest is left alone: nothing is written, sent or told', async () => {
    const twin = await serving();
    twin.writes = [];
    twin.notes = [];
    await twin.settle();
    expect(twin.writes).toEqual([]);
    expect(twin.notes).toEqual([]);
  });

  test('a restart loses the remembered answer, asks again and writes nothing', async () => {
    const twin = await serving();
    twin.answer = undefined;
    twin.writes = [];
    await twin.settle();
    expect(twin.answer).toBeDefined();
    expect(twin.writes).toEqual([]);
  });

  test('killed before any write, at any number of moments, the end is the same', async () => {
    const target = await serving();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 6 }), async (deaths) => {
        const twin = new Twin();
        for (const death of deaths) {
          twin.killIn = death;
          await twin.settle();
        }
        twin.killIn = Number.POSITIVE_INFINITY;
        await twin.settle();
        expect(twin.sent.map(({ kind }) => kind)).toEqual(['register', 'deposit']);
        expect(twin.chain).toEqual(target.chain);
        expect([...twin.engines]).toEqual([...target.engines]);
        expect(twin.condition('Ready')).toMatchObject({ status: 'True' });
      }),
      { numRuns: 60 },
    );
  });

  test('a chat engine: the answer needs text and token counts', async () => {
    const twin = new Twin();
    twin.object!.spec = specOf({ engine: { type: 'LlamaCpp' }, verification: { mode: 'Replay' } });
    twin.verify = { exitCode: 0, message: verifiedText({ quantization: 'Q4_1', verificationRoot: undefined, probe: undefined }) };
    const say = (value: object): void => {
      twin.chat = { latencyMs: 1, ...value };
      twin.nowMs += 10_000;
    };
    say({ text: 'hello', promptTokens: 3 });
    await twin.settle();
    expect(twin.condition('AnswerSeen')).toMatchObject({ status: 'False', reason: 'WrongAnswer' });
    expect(twin.condition('AnswerSeen')?.message).toContain('token counts');
    say({ text: '  ', promptTokens: 3, completionTokens: 1 });
    await twin.settle();
    expect(twin.condition('AnswerSeen')?.message).toContain('no text');
    expect(twin.sent).toEqual([]);
    say({ text: 'hello', promptTokens: 3, completionTokens: 1 });
    await twin.settle();
    expect(twin.condition('Ready')).toMatchObject({ status: 'True' });
    expect(twin.sent[0]).toMatchObject({ terms: { verificationRoot: `0x${'00'.repeat(32)}`, mode: 'Replay' } });
    expect([...twin.engines.values()]).toMatchObject([{ kind: 'chat', quantization: 'Q4_1' }]);
  });

  test('Manual approval waits for the annotation', async () => {
    const twin = await settled((t) => t.edit({ approval: 'Manual' }));
    expect(twin.sent).toEqual([]);
    expect(twin.condition('Ready')?.message).toContain('kubectl annotate modelprovider digits -n honest cupel.dev/approved=true');
    expect(twin.condition('Stalled')).toMatchObject({ status: 'True', reason: 'AwaitingApproval' });
    twin.object!.metadata.annotations = { 'cupel.dev/approved': 'true' };
    await twin.settle();
    expect(twin.condition('Ready')?.status).toBe('True');
    expect(twin.condition('Stalled')).toBeUndefined();
  });
});

describe('refusals create nothing and name the remedy', () => {
  const cases: [string, (t: Twin) => void, string, RegExp][] = [
    ['engine', (t) => t.edit({ engine: { type: 'VLLM' } }), 'UnsupportedEngine', /LlamaCpp, Integer, Custom/],
    [
      'source',
      (t) => t.edit({ model: { name: 'm', manifest: { sha256: SHA }, source: { ipfs: { cid: 'bafkreia' + 'a'.repeat(20) } } } }),
      'UnsupportedSource',
      /use one of pvc/,
    ],
    ['mode', (t) => t.edit({ verification: { mode: 'Attested' } }), 'UnsupportedMode', /None, Replay, IntegerExecution/],
    ['mode of engine', (t) => t.edit({ verification: { mode: 'Replay' } }), 'UnsupportedMode', /Integer, which supports IntegerExecution/],
    [
      'pod template',
      (t) => t.edit({ podTemplate: { spec: { hostNetwork: true } } }),
      'ForbiddenPodTemplateField',
      /spec\.podTemplate\.spec\.hostNetwork/,
    ],
    ['market', (t) => void (t.market = undefined), 'MarketNotFound', /create it/],
    [
      'no key',
      (t) => void (t.key = { state: 'missing', message: 'there is no Secret "operator-key"' }),
      'KeySecretNotFound',
      /create Secret "operator-key" with key "key" in namespace honest/,
    ],
    [
      'bad key',
      (t) => void (t.key = { state: 'invalid', message: 'a private key must be 0x and 64 hex digits' }),
      'KeySecretInvalid',
      /64 hex digits/,
    ],
    [
      'no provider',
      (t) => void (t.chain.provider = { operator: `0x${'00'.repeat(20)}`, payout: OPERATOR }),
      'ProviderNotSet',
      /setProvider\(0x0e0e/,
    ],
    [
      'other operator',
      (t) => void (t.chain.provider = { ...t.chain.provider, operator: `0x${'ff'.repeat(20)}` }),
      'OperatorNotAuthorized',
      /names 0xffff/,
    ],
    ['payout', (t) => void (t.chain.provider = { ...t.chain.provider, payout: OPERATOR }), 'PayoutMismatch', /setProvider/],
    ['price places', (t) => t.edit({ pricing: { perRequest: '0.0000001' } }), 'InvalidAmount', /spec\.pricing\.perRequest/],
    ['stake', (t) => t.edit({ stake: { amount: '0.5' } }), 'StakeTooSmall', /at least 1$/],
  ];
  test.each(cases)('%s', async (_name, change, reason, message) => {
    const twin = await settled(change);
    expect(twin.condition('Accepted')).toMatchObject({ status: 'False', reason });
    expect(twin.condition('Accepted')?.message).toMatch(message);
    expect(twin.condition('Ready')).toMatchObject({ status: 'False', reason });
    expect(twin.condition('Stalled')?.status).toBe('True');
    expect(twin.writes.every((write) => write === 'status')).toBe(true);
    expect(twin.notes).toContainEqual(expect.objectContaining({ type: 'Warning', reason }));
  });

  test('tenancy: a Market that does not admit the namespace', async () => {
    const twin = await settled((t) => {
      (t.market as { spec: { allowedNamespaces: unknown } }).spec.allowedNamespaces = {
        from: 'Selector',
        selector: { matchLabels: { team: 'a' } },
      };
    });
    expect(twin.condition('Accepted')).toMatchObject({ status: 'False', reason: 'NamespaceNotAllowed' });
    twin.namespace.metadata.labels = { team: 'a' };
    await twin.settle();
    expect(twin.condition('Ready')?.status).toBe('True');
  });

  test('a wrong weight file: named, no probe, nothing on chain', async () => {
    const twin = await settled((t) => {
      t.verify = { exitCode: 1, message: JSON.stringify({ error: 'its sha256 is 00, the manifest says 11', file: 'weights.bin' }) };
      t.podsReady = false;
    });
    expect(twin.condition('ManifestVerified')).toMatchObject({ status: 'False', reason: 'ManifestMismatch' });
    expect(twin.condition('ManifestVerified')?.message).toContain('weights.bin: its sha256');
    expect(twin.sent).toEqual([]);
    expect(twin.answer).toBeUndefined();
  });

  test('verify that confirms another manifest is not believed', async () => {
    const twin = await settled((t) => (t.verify = { exitCode: 0, message: verifiedText({ manifestSha256: '00'.repeat(32) }) }));
    expect(twin.condition('ManifestVerified')?.status).toBe('False');
    expect(twin.sent).toEqual([]);
  });

  test('a wrong answer: nothing on chain', async () => {
    const twin = new Twin();
    twin.output = '0xbc';
    await twin.settle();
    expect(twin.condition('AnswerSeen')).toMatchObject({ status: 'False', reason: 'WrongAnswer' });
    expect(twin.sent).toEqual([]);
  });

  test('empty purse: the amounts and the account are named', async () => {
    const twin = await settled((t) => (t.chain.balances = { native: 1n, stake: 3n * 10n ** 18n, payment: 0n }));
    expect(twin.sent.map(({ kind }) => kind)).toEqual(['register']);
    expect(twin.condition('Staked')).toMatchObject({ status: 'False', reason: 'InsufficientStakeToken' });
    expect(twin.condition('Staked')?.message).toContain(`100 of stake and 5 of bond are missing; the operator account ${OPERATOR} holds 3`);
  });
});

describe('drift and change', () => {
  test('a changed child is put right', async () => {
    const twin = await serving();
    const service = structuredClone(twin.children.get('Service')!);
    twin.children.set('Service', { ...service, spec: { ...(service['spec'] as object), selector: { evil: 'yes' } } });
    twin.writes = [];
    await twin.settle();
    expect(twin.writes).toEqual(['apply Service']);
  });

  test('prices and endpoint follow the spec', async () => {
    const twin = await serving();
    twin.edit({
      pricing: { perRequest: '0.002', inputPerMillionTokens: '0', outputPerMillionTokens: '0' },
      endpoint: { url: 'http://new.example' },
    });
    await twin.settle();
    expect(twin.sent.slice(2).map(({ kind }) => kind)).toEqual(['setPrices', 'setEndpoint']);
    expect([...twin.engines.values()][0]?.prices.perRequest).toBe(2000n);
    expect(twin.condition('Ready')?.status).toBe('True');
  });

  test('a version on chain with another root than the weights give: not registered, not sold, until the right one is added', async () => {
    const twin = await serving();
    const lie = `0x${'ee'.repeat(32)}` as const;
    twin.chain.version = { ...twin.chain.version!, verificationRoot: lie };
    twin.edit({ approval: 'Manual' });
    await twin.settle();
    expect(twin.condition('Registered')).toMatchObject({ status: 'False', reason: 'OtherRoot' });
    expect(twin.condition('Registered')?.message).toContain(`root ${lie}, but program and weights of the manifest give ${ROOT}`);
    expect(twin.condition('Registered')?.message).toContain('addVersion');
    expect(twin.condition('Ready')).toMatchObject({ status: 'False', reason: 'OtherRoot' });
    expect([...twin.engines]).toEqual([]);
    expect(twin.sent).toHaveLength(2);
    twin.edit({ approval: 'Automatic' });
    await twin.settle();
    expect(twin.sent.at(-1)).toMatchObject({ kind: 'addVersion', terms: { verificationRoot: ROOT } });
    expect([...twin.engines.values()]).toMatchObject([{ verificationRoot: ROOT }]);
    expect(twin.condition('Ready')?.status).toBe('True');
  });

  test('more stake is deposited, less is not taken back', async () => {
    const twin = await serving();
    twin.edit({ stake: { amount: '150' } });
    await twin.settle();
    expect(twin.sent.at(-1)).toMatchObject({ kind: 'deposit', stake: 50n * 10n ** 18n, bond: 0n });
    twin.edit({ stake: { amount: '20' } });
    await twin.settle();
    expect(twin.sent).toHaveLength(3);
  });

  test('the chain is away: what was true stays, and nothing is sent', async () => {
    const twin = await serving();
    twin.reachable = false;
    twin.writes = [];
    await twin.settle();
    expect(twin.condition('Ready')?.status).toBe('True');
    expect(twin.writes).toEqual([]);
  });

  test('a pod that falls over drains the engine at the edge', async () => {
    const twin = await serving();
    twin.podsReady = false;
    await twin.settle();
    expect([...twin.engines.values()][0]?.draining).toBe(true);
    expect(twin.condition('Registered')?.status).toBe('True');
    expect(twin.condition('Ready')).toMatchObject({ status: 'False', reason: 'NotAvailable' });
    expect(twin.condition('Reconciling')?.status).toBe('True');
  });

  test('maintenance drains for its time', async () => {
    const twin = await serving();
    twin.edit({ maintenance: { until: new Date(twin.nowMs + 60_000).toISOString(), reason: 'disks' } });
    await twin.settle();
    expect(twin.condition('Ready')).toMatchObject({ status: 'False', reason: 'Maintenance' });
    expect([...twin.engines.values()][0]?.draining).toBe(true);
    twin.nowMs += 120_000;
    await twin.settle();
    expect(twin.condition('Ready')?.status).toBe('True');
  });

  test('slashed: shown with what is left, drained, never registered or staked again', async () => {
    const twin = await serving();
    twin.chain.model = { ...twin.chain.model, status: 'suspended', faults: 1 };
    twin.chain.stake = { ...twin.chain.stake, free: 50n * 10n ** 18n };
    await twin.settle();
    expect(twin.condition('Slashed')).toMatchObject({ status: 'True', reason: 'FaultUpheld' });
    expect(twin.condition('Slashed')?.message).toContain('1 dispute was upheld on chain; of 100 of stake 50 are left, and a bond of 5');
    expect(twin.condition('Ready')).toMatchObject({ status: 'False', reason: 'Slashed' });
    expect([...twin.engines.values()][0]?.draining).toBe(true);
    twin.reachable = false;
    await twin.settle();
    expect(twin.condition('Slashed')?.status).toBe('True');
    expect(twin.sent).toHaveLength(2);
  });
});

describe('deletion', () => {
  test('drains, retires, lets key and object go', async () => {
    const twin = await serving();
    twin.delete();
    twin.writes = [];
    await twin.settle();
    expect(twin.object).toBeUndefined();
    expect(twin.writes.filter((write) => write !== 'status')).toEqual([
      'publishEngine',
      'send retire',
      'mined retire',
      'withdrawEngine',
      'releaseKey',
      'letGo',
    ]);
    expect(twin.chain.model.status).toBe('retired');
    expect(twin.notes.at(-1)?.message).toContain('100 of stake unbond until');
  });

  test('requests in flight have their time', async () => {
    const twin = await serving();
    twin.delete();
    const began = twin.nowMs;
    await twin.settle();
    expect(twin.nowMs - began).toBeGreaterThanOrEqual(settings.drainMs);
  });

  test('killed at any moments, it is retired once and gone', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 5 }), async (deaths) => {
        const twin = await serving();
        twin.delete();
        for (const death of deaths) {
          twin.killIn = death;
          await twin.settle();
        }
        twin.killIn = Number.POSITIVE_INFINITY;
        await twin.settle();
        expect(twin.object).toBeUndefined();
        expect(twin.key).toMatchObject({ held: false });
        expect(twin.sent.filter(({ kind }) => kind === 'retire')).toHaveLength(1);
      }),
      { numRuns: 40 },
    );
  });

  test('WaitForUnbonding waits, then pays the stake out', async () => {
    const twin = await settled((t) => t.edit({ deletionPolicy: 'WaitForUnbonding' }));
    twin.delete();
    await twin.settle();
    expect(twin.condition('Ready')).toMatchObject({ reason: 'Unbonding' });
    twin.chain.headTimestamp += 601;
    await twin.settle();
    expect(twin.object).toBeUndefined();
    expect(twin.sent.at(-1)?.kind).toBe('withdrawStake');
  });

  test('Orphan and abandon leave the chain alone', async () => {
    const orphan = await settled((t) => t.edit({ deletionPolicy: 'Orphan' }));
    orphan.delete();
    await orphan.settle();
    expect(orphan.object).toBeUndefined();
    expect(orphan.chain.model.status).toBe('active');

    const stuck = await serving();
    stuck.reachable = false;
    stuck.delete();
    await stuck.settle();
    expect(stuck.condition('Ready')).toMatchObject({ reason: 'ChainUnreachable' });
    expect(stuck.condition('Ready')?.message).toContain('kubectl annotate modelprovider digits -n honest cupel.dev/abandon=true');
    stuck.object!.metadata.annotations = { 'cupel.dev/abandon': 'true' };
    await stuck.settle();
    expect(stuck.object).toBeUndefined();
    expect(stuck.notes.at(-1)).toMatchObject({ type: 'Warning', reason: 'Abandoned' });
    expect(stuck.notes.at(-1)?.message).toContain('100 stake stay on chain');
  });

  test('a missing key holds it, with the way out', async () => {
    const twin = await serving();
    twin.key = { state: 'missing', message: 'there is no Secret "operator-key"' };
    twin.delete();
    await twin.settle();
    expect(twin.condition('Stalled')).toMatchObject({ reason: 'KeyMissing' });
    expect(twin.condition('Ready')?.message).toMatch(/restore the Secret; .*abandon=true/);
  });

  test('an object that was refused goes at once', async () => {
    const twin = await settled((t) => t.edit({ engine: { type: 'VLLM' } }));
    twin.delete();
    expect(twin.object).toBeUndefined();
  });

  test('a namespace that goes takes no new objects', async () => {
    const twin = new Twin();
    twin.namespace = { metadata: { labels: {}, deletionTimestamp: '2026-11-24T12:00:00Z' } };
    await twin.settle();
    expect(twin.children.size).toBe(0);
  });

  test('a retired entry cannot come back under its name', async () => {
    const twin = await settled((t) => (t.chain.model = { status: 'retired', latestVersion: 1, registeredAtBlock: 7, faults: 0 }));
    expect(twin.condition('Registered')).toMatchObject({ status: 'False', reason: 'Retired' });
    expect(twin.sent).toEqual([]);
  });
});

test('decide is a function: the same observation gives the same plan', async () => {
  const twin = new Twin();
  const o = (await observe(twin.ports, NAME))!;
  expect(decide(o, settings)).toEqual(decide(structuredClone(o), settings));
});

test('a spec of another version is refused, and may be abandoned', async () => {
  const twin = await settled((t) => (t.object!.spec = { ...specOf(), engine: { type: 'Telepathy' } }));
  expect(twin.condition('Accepted')).toMatchObject({ status: 'False', reason: 'InvalidSpec' });
  expect(twin.condition('Accepted')?.message).toContain('spec.engine.type');
});
