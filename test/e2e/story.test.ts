import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { marketCalls } from '@cupel/chain/contracts';
import { secretKeys } from '@cupel/local/demo/accounts';
import { sayFarewell } from '@cupel/local/demo/farewell';
import { firstVersionOf } from '@cupel/local/demo/grants';
import { tellTheEnding } from '@cupel/local/demo/ending';
import type { Ending } from '@cupel/local/demo/ending';
import { installRelease, releases } from '@cupel/local/demo/install';
import { apply, getJson, waitFor } from '@cupel/local/demo/kubectl';
import { claim, localVolume } from '@cupel/local/demo/objects';
import { assistant, digits, digitsCheap, gpuPool, market } from '@cupel/local/demo/providers';
import { allTransactions } from '@cupel/local/demo/rpc';
import { tellUpToTheAnswers, waitForCondition } from '@cupel/local/demo/story';
import type { Told } from '@cupel/local/demo/story';
import { checkoutFolder } from '@cupel/local/config';
import { nodeName } from '@cupel/local/node-config';
import { createProgress } from '@cupel/local/progress';
import { baseUnits } from '@cupel/protocol/money';

/** The demo's own story on a cluster of the test's, and what must hold around it. One cluster for the whole file. */
let told: Told;
let ending: Ending;
const progress = createProgress(process.stderr);

beforeAll(async () => {
  told = await tellUpToTheAnswers(progress, join(checkoutFolder, '.cupel/e2e'), false);
  ending = await tellTheEnding(progress, told);
}, 900_000);

afterAll(async () => {
  await told?.desk[Symbol.asyncDispose]();
  await told?.cluster.stop();
}, 60_000);

interface Item {
  kind: string;
  metadata: { name: string; namespace?: string; resourceVersion: string; generation?: number };
  spec: object;
  status?: { conditions?: { type: string; status: string; reason: string; message: string }[]; onChain?: { modelId?: string } };
}

describe('the story', () => {
  test('every claim of the table holds', () => {
    expect(ending.checks.failed).toEqual([]);
    expect(ending.checks.all.length).toBeGreaterThan(15);
  });

  test('kubectl get shows state, reason, model, engine, pool, replicas, price, stake, age', async () => {
    const out = await told.cluster.kubectl(['get', 'mp', '-A']);
    for (const column of ['READY', 'REASON', 'MODEL', 'ENGINE', 'POOL', 'REPLICAS', 'PRICE', 'STAKE', 'AGE']) expect(out).toContain(column);
    expect(out).toMatch(/assistant\s+True/);
  });

  test('the pool counts the simulated GPU that the assistant holds', async () => {
    const pool = await getJson<{ status: { accelerators: { allocatable: number; allocated: number; free: number } } }>(told.cluster, [
      'gpunodepool',
      'simulated',
    ]);
    expect(pool.status.accelerators).toMatchObject({ allocatable: 2, allocated: 1, free: 1 });
  });

  test('the Market says that chain id and code are as named', async () => {
    const object = await getJson<Item>(told.cluster, ['market', 'local']);
    expect(object.status?.conditions?.find((c) => c.type === 'Ready')).toMatchObject({ status: 'True' });
  });

  test('the slashed provider says so, with reason', async () => {
    const object = await getJson<Item>(told.cluster, ['-n', 'cheat', 'mp', 'digits-cheap']);
    const slashed = object.status?.conditions?.find((c) => c.type === 'Slashed');
    expect(slashed).toMatchObject({ status: 'True' });
    expect(slashed?.message.length).toBeGreaterThan(20);
  });

  test('a receipt can be fetched by its id', async () => {
    const { receiptId } = told.answers[0]!;
    const response = await fetch(`${told.baseUrl}/receipts/${receiptId}`, { headers: { authorization: `Bearer ${told.apiKey}` } });
    expect(response.status).toBe(200);
    expect(((await response.json()) as { receipt: { requestId: string } }).receipt.requestId).toBe(receiptId);
  });
});

describe('bad input at the door', () => {
  const post = (path: string, body: string, key = told.apiKey) =>
    fetch(`${told.baseUrl}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body,
    });

  test.each([
    [
      'unknown model',
      () => post('/chat/completions', JSON.stringify({ model: 'nope', messages: [{ role: 'user', content: 'x' }] })),
      404,
      'model_not_found',
    ],
    ['wrong key', () => post('/chat/completions', '{}', 'wrong'), 401, 'invalid_api_key'],
    ['no key', () => fetch(`${told.baseUrl}/chat/completions`, { method: 'POST', body: '{}' }), 401, 'missing_credentials'],
    ['malformed JSON', () => post('/chat/completions', '{"model": '), 400, 'malformed_json'],
    [
      '2 MB',
      () => post('/chat/completions', JSON.stringify({ model: 'assistant', messages: [{ role: 'user', content: 'x'.repeat(2_000_000) }] })),
      413,
      'body_too_large',
    ],
  ] as const)('%s', async (_name, send, status, code) => {
    const response = await send();
    const body = (await response.json()) as { error: { message: string; type: string; code: string } };
    expect([response.status, body.error.code]).toEqual([status, code]);
    expect(body.error.message).toMatch(/;/);
  });
});

describe('least privilege', () => {
  const fromPod = (ns: string, workload: string, url: string) =>
    told.cluster.kubectl([
      '-n',
      ns,
      'exec',
      workload,
      '--',
      '/usr/bin/node',
      '-e',
      `fetch(${JSON.stringify(url)},{signal:AbortSignal.timeout(3000)}).then(r=>console.log('open',r.status),e=>console.log('closed',e.name))`,
    ]);

  test('the gateway cannot open an engine, its edge can', async () => {
    const { items } = await getJson<{ items: Item[] }>(told.cluster, [
      '-n',
      'honest',
      'services',
      '-l',
      'app.kubernetes.io/component=engine',
    ]);
    expect(items.length).toBeGreaterThan(0);
    const url = `http://${items[0]!.metadata.name}.honest.svc.cluster.local:8000/health`;
    expect(await fromPod('gateway', 'deployment/gateway-router', url)).toContain('closed');
    expect(await fromPod('honest', 'deployment/edge-router', url)).toContain('open');
  });

  test('a stolen edge key cannot move stake, prices or roles; the operator key could retire', async () => {
    const { honest } = told.stage.accounts;
    const { modelId } = firstVersionOf(honest.owner.address, 'honest/digits');
    const calls = marketCalls(told.stage.contracts);
    const prices = { inputPerMillion: baseUnits(0n), outputPerMillion: baseUnits(0n), perRequest: baseUnits(1n) };
    const attempt = async (from: string, call: { to: string; data: string }) =>
      told.rpc('eth_call', [{ from, ...call }, 'latest']).then(
        () => 'done',
        () => 'refused',
      );
    for (const key of [honest.receiptSigner, honest.settlement, honest.defender]) {
      for (const call of [
        calls.retire(modelId),
        calls.withdrawStake(modelId),
        calls.setPrices(modelId, prices),
        calls.setEndpoint(modelId, 'http://x'),
      ]) {
        expect(await attempt(key.address, { to: call.to, data: call.data })).toBe('refused');
      }
    }
    const { to, data } = calls.retire(modelId);
    expect(await attempt(honest.operator.address, { to, data })).toBe('done');
    const withdraw = calls.withdrawStake(modelId);
    expect(await attempt(honest.operator.address, { to: withdraw.to, data: withdraw.data })).toBe('refused');
  });

  test('no secret in logs, events, status or config maps', async () => {
    const { cluster, stage } = told;
    const texts: string[] = [];
    for (const ns of ['cupel-system', 'gateway', 'honest', 'cheat']) {
      const { items } = await getJson<{ items: Item[] }>(cluster, ['-n', ns, 'pods']);
      for (const pod of items) texts.push(await cluster.kubectl(['-n', ns, 'logs', pod.metadata.name, '--all-containers', '--tail=-1']));
      texts.push(await cluster.kubectl(['-n', ns, 'get', 'events,configmaps,modelproviders,deployments,statefulsets,pods', '-o', 'json']));
    }
    texts.push(await cluster.kubectl(['get', 'markets,gpunodepools', '-o', 'json']), await (await fetch(told.metricsUrl)).text());
    const users = Object.values(stage.users).flatMap((u) =>
      'password' in u ? [u.password as string] : Object.values(u as Record<string, { password: string }>).map((v) => v.password),
    );
    const secrets = [...secretKeys(stage.accounts), ...users, ...Object.values(stage.adminTokens), told.apiKey];
    expect(secrets.length).toBeGreaterThan(20);
    expect(texts.join('').length).toBeGreaterThan(10_000);
    expect(secrets.filter((s) => texts.some((t) => t.includes(s))).length).toBe(0);
  });
});

describe('nothing to do is nothing done', () => {
  const versions = async () => {
    const out: Record<string, string> = {};
    for (const kinds of [
      'markets,gpunodepools',
      'modelproviders,deployments,statefulsets,services,networkpolicies,configmaps,serviceaccounts',
    ]) {
      const { items } = await getJson<{ items: Item[] }>(told.cluster, ['-A', kinds]);
      for (const { kind, metadata } of items) {
        if (
          ['kube-system', 'default', 'kube-public', 'kube-node-lease'].includes(metadata.namespace ?? '') ||
          metadata.name === 'kube-root-ca.crt'
        )
          continue;
        out[`${kind} ${metadata.namespace ?? ''}/${metadata.name}`] = metadata.resourceVersion;
      }
    }
    return out;
  };

  test('a second kubectl apply and helm upgrade change no object, write nothing but the Lease and send no transaction', async () => {
    const { cluster, stage, rpc } = told;
    const operators = [stage.accounts.honest.operator.address, stage.accounts.cheat.operator.address];
    const sent = async () => (await allTransactions(rpc)).filter((t) => operators.includes(t.from)).length;
    const before = await versions();
    const sentBefore = await sent();
    const auditBefore = (await readFile(cluster.auditLogPath, 'utf8')).length;
    await apply(cluster, [market(stage), gpuPool, assistant(stage), digits(stage), digitsCheap(stage)]);
    for (const release of releases(stage)) await installRelease(cluster, release);
    await new Promise((resolve) => setTimeout(resolve, 8000));
    expect(await versions()).toEqual(before);
    expect(await sent()).toBe(sentBefore);
    const writes = (await readFile(cluster.auditLogPath, 'utf8'))
      .slice(auditBefore)
      .split('\n')
      .filter((l) => l.startsWith('{'))
      .map((l) => JSON.parse(l) as { stage: string; verb: string; user: { username: string }; objectRef?: { resource: string } })
      .filter((e) => e.user.username === 'system:serviceaccount:cupel-system:cupel-operator' && !['get', 'list', 'watch'].includes(e.verb));
    expect(writes.filter((w) => w.objectRef?.resource !== 'leases').map((w) => `${w.verb} ${w.objectRef?.resource}`)).toEqual([]);
    expect(writes.length).toBeGreaterThan(0);
  });
});

describe('bad weights', () => {
  test('one flipped byte: ManifestVerified=False, no ready pod, nothing on chain', async () => {
    const { cluster, volumes, stage } = told;
    const folder = join(volumes, 'weights/honest/flipped-weights');
    await mkdir(folder, { recursive: true });
    await cp(join(volumes, 'weights/honest/digits-weights'), folder, { recursive: true });
    const bytes = await readFile(join(folder, 'weights.bin'));
    bytes[5000]! ^= 1;
    await writeFile(join(folder, 'weights.bin'), bytes);
    const object = JSON.parse(JSON.stringify(digits(stage))) as {
      metadata: { name: string };
      spec: { model: { source: { pvc: { claimName: string } } } };
    };
    object.metadata.name = 'flipped';
    object.spec.model.source.pvc.claimName = 'flipped-weights';
    await apply(cluster, [
      localVolume('honest', 'flipped-weights', folder, nodeName, 'ReadOnlyMany', '1Mi'),
      claim('honest', 'flipped-weights', '1Mi'),
      object,
    ]);
    const condition = await waitForCondition(cluster, 'honest', 'flipped', 'ManifestVerified', 'False', 60_000);
    expect(condition.message).toContain('weights.bin');
    const seen = await getJson<Item & { status: { readyReplicas?: number } }>(cluster, ['-n', 'honest', 'mp', 'flipped']);
    expect(seen.status.readyReplicas ?? 0).toBe(0);
    expect(seen.status.conditions?.find((c) => c.type === 'Registered')?.status).not.toBe('True');
    await cluster.kubectl(['-n', 'honest', 'delete', 'mp', 'flipped', '--wait=false']);
    await waitFor(
      'it to be gone',
      async () =>
        (await cluster.kubectl(['-n', 'honest', 'get', 'mp', 'flipped', '--ignore-not-found'])).trim() === '' ? true : undefined,
      60_000,
    );
  });
});

describe('goodbye', () => {
  test('a deleted provider retires on chain and goes; a staked namespace goes', async () => {
    await sayFarewell(progress, told);
    const { items } = await getJson<{ items: Item[] }>(told.cluster, ['-A', 'modelproviders']);
    expect(items.map((i) => i.metadata.name)).toEqual(['assistant']);
  });
});
