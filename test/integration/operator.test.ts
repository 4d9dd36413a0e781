import { cp, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { interfaces } from '@cupel/chain/contracts';
import { eventDecoder } from '@cupel/chain/events';
import type { MarketEvent } from '@cupel/chain/events';
import type { Child } from '@cupel/local/processes/child';
import type { Hex } from '@cupel/protocol/hex';
import { claimPostValue, engineList } from '@cupel/protocol/wire/bus';
import { claimsPostSubject, edgeScope, receiptsSubject } from '@cupel/protocol/wire/subjects';
import { eventually } from '@cupel/testing/wait';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { DIGITS, DOOMED_OPERATOR, DOOMED_OWNER, NAMESPACES, OPERATOR, OWNER, startWorld } from './operator/world.ts';
import type { World } from './operator/world.ts';

const PAYOUT = `0x${'0d'.repeat(20)}`;
const STAKE = 100n * 10n ** 18n;

describe('the operator, with a real control plane, chain and bus', () => {
  let world: World;
  let operator: Child;

  const address = (account: number): Hex => world.anvil.accounts[account]!.address.toLowerCase() as Hex;

  const market = (name: string, changes: object = {}) => ({
    apiVersion: 'cupel.dev/v1alpha1',
    kind: 'Market',
    metadata: { name },
    spec: {
      chain: { id: world.anvil.chainId, finality: 'Safe' },
      rpc: [{ name: 'anvil', url: world.anvil.rpcUrl }],
      contracts: world.market.deployment.contracts,
      ...changes,
    },
  });

  const provider = (namespace: string, name: string, changes: object = {}) => ({
    apiVersion: 'cupel.dev/v1alpha1',
    kind: 'ModelProvider',
    metadata: { namespace, name },
    spec: {
      marketRef: { name: 'local' },
      edgeRef: { name: 'edge' },
      endpoint: { url: `http://edge.${namespace}.svc.cluster.local` },
      identity: {
        ownerAddress: address(namespace === 'doomed' ? DOOMED_OWNER : OWNER),
        operatorKeyRef: { name: 'operator-key', key: 'key' },
        receiptSignerAddress: PAYOUT,
        payoutAddress: PAYOUT,
      },
      model: { name: 'digits', manifest: { sha256: world.manifestSha256 }, source: { pvc: { claimName: 'digits-weights' } } },
      engine: { type: 'Integer' },
      pricing: { perRequest: '0.001' },
      verification: { mode: 'IntegerExecution' },
      stake: { amount: '100' },
      ...changes,
    },
  });

  const chainEvents = async (): Promise<MarketEvent[]> => {
    const { contracts, block } = world.market.deployment;
    const decode = eventDecoder(contracts);
    const head = await world.market.client.head('latest');
    const logs = await world.market.client.logs({
      addresses: [contracts.modelRegistry, contracts.stakeVault, contracts.claimManager],
      fromBlock: block,
      toBlock: head.number,
    });
    return logs.flatMap((log) => decode(log) ?? []);
  };

  const nonces = (): Promise<number[]> =>
    Promise.all([OPERATOR, DOOMED_OPERATOR].map((account) => world.market.client.nonce(address(account), 'latest')));

  /** Every object that the operator makes or writes, with its version. */
  const versions = async (): Promise<Record<string, string>> => {
    const kinds = 'modelproviders,gpunodepools,markets,deployments,services,serviceaccounts,networkpolicies,secrets';
    const found: Record<string, string> = {};
    for (const namespace of NAMESPACES) {
      const { items } = JSON.parse(await world.plane.kubectl(['get', kinds, '-n', namespace, '-o', 'json'])) as {
        items: { kind: string; metadata: { name: string; resourceVersion: string } }[];
      };
      for (const { kind, metadata } of items) found[`${namespace}/${kind}/${metadata.name}`] = metadata.resourceVersion;
    }
    return found;
  };

  const gone = (kind: string, namespace: string, name: string): Promise<true> =>
    eventually(
      `${kind} ${name} to be gone`,
      async () => (await world.plane.kubectl(['get', kind, name, '-n', namespace, '--ignore-not-found'])) === '' || undefined,
      40_000,
    ) as Promise<true>;

  beforeAll(async () => {
    world = await startWorld();
    const { contracts } = world.market.deployment;
    const { calls, send } = world.market;
    for (const [owner, op] of [
      [OWNER, OPERATOR],
      [DOOMED_OWNER, DOOMED_OPERATOR],
    ] as const) {
      await send(owner, calls.setProvider(address(op), PAYOUT as Hex));
      await send(0, calls.transfer(contracts.stakeToken, address(op), 1000n * 10n ** 18n));
      await world.market.mint(address(op), 1_000_000_000n);
    }
    for (const namespace of NAMESPACES) await world.claim(namespace, 'digits-weights', DIGITS);
    await world.plane.kubectl([
      'create',
      'secret',
      'generic',
      'operator-key',
      '-n',
      'doomed',
      `--from-literal=key=${world.anvil.accounts[DOOMED_OPERATOR]!.privateKey}`,
    ]);
    await world.apply(market('local'), {
      apiVersion: 'cupel.dev/v1alpha1',
      kind: 'GPUNodePool',
      metadata: { name: 'pool' },
      spec: { nodeSelector: { matchLabels: { pool: 'a' } }, accelerator: { vendor: 'NVIDIA', resourceName: 'nvidia.com/gpu' } },
    });
  }, 120_000);
  afterAll(() => world?.[Symbol.asyncDispose](), 60_000);

  describe('what the API server itself refuses, with field and remedy', () => {
    const bad: [string, () => object, string][] = [
      [
        'two sources',
        () =>
          provider('honest', 'x', {
            model: { ...provider('honest', 'x').spec.model, source: { pvc: { claimName: 'a' }, ipfs: { cid: `b${'a'.repeat(20)}` } } },
          }),
        'model.source must have exactly one of oci, huggingFace, s3, pvc, ipfs; keep one',
      ],
      [
        'no pool',
        () => provider('honest', 'x', { accelerator: { count: 1 } }),
        'poolRef is required when accelerator.count > 0; name a GPUNodePool',
      ],
      ['long name', () => provider('honest', 'x'.repeat(41)), 'metadata.name must have at most 40 characters; choose a shorter name'],
      ['price', () => provider('honest', 'x', { pricing: { perRequest: '1e3' } }), 'must be a decimal number in a string, such as "0.25"'],
      [
        'address',
        () => provider('honest', 'x', { identity: { ...provider('honest', 'x').spec.identity, payoutAddress: '0x12' } }),
        'must be an address: 0x and 40 hex digits',
      ],
      [
        'autoscaling',
        () => provider('honest', 'x', { replicas: 5, autoscaling: { minReplicas: 1, maxReplicas: 3 } }),
        'replicas must lie within autoscaling.minReplicas',
      ],
      [
        'custom without image',
        () => provider('honest', 'x', { engine: { type: 'Custom' } }),
        'engine.image is required with type: Custom; name the image',
      ],
      [
        'climbing path',
        () =>
          provider('honest', 'x', {
            model: { ...provider('honest', 'x').spec.model, source: { pvc: { claimName: 'a', path: 'a/../../b' } } },
          }),
        'must be relative and without ".."',
      ],
      ['credentials in the URL', () => provider('honest', 'x', { endpoint: { url: 'http://user:pass@host' } }), 'without user, password'],
      [
        'finality',
        () => market('x', { chain: { id: 1, finality: 'Confirmations' } }),
        'chain.confirmations goes with finality: Confirmations',
      ],
      ['rpc', () => market('x', { rpc: [{ name: 'a' }] }), 'rpc needs exactly one of url and urlSecretRef'],
    ];
    test.each(bad)('%s', async (_name, object, message) => {
      expect(await world.refused(object())).toContain(message);
    });

    test('immutable: manifest, identity, market, mode, and the contracts of a Market', async () => {
      await world.apply(provider('honest', 'fixed', { engine: { type: 'VLLM' } }));
      const base = provider('honest', 'fixed', { engine: { type: 'VLLM' } });
      const change = (spec: object) => world.refused({ ...base, spec: { ...base.spec, ...spec } });
      expect(await change({ marketRef: { name: 'other' } })).toContain('marketRef is immutable');
      expect(await change({ model: { ...base.spec.model, manifest: { sha256: 'ab'.repeat(32) } } })).toContain(
        'model.manifest is immutable',
      );
      expect(await change({ identity: { ...base.spec.identity, ownerAddress: PAYOUT } })).toContain('identity is immutable');
      expect(await change({ verification: { mode: 'None' } })).toContain('verification is immutable');
      expect(await change({ edgeRef: { name: 'other' } })).toContain('edgeRef is immutable');
      expect(await world.refused(market('local', { contracts: { ...world.market.deployment.contracts, stakeVault: PAYOUT } }))).toContain(
        'contracts is immutable',
      );
      await world.plane.kubectl(['delete', 'modelprovider', 'fixed', '-n', 'honest']);
    });
  });

  test('killed with kill -9 again and again on the way to Ready: one registration, one deposit, the same end', async () => {
    await world.plane.kubectl([
      'create',
      'secret',
      'generic',
      'operator-key',
      '-n',
      'honest',
      `--from-literal=key=${world.anvil.accounts[OPERATOR]!.privateKey}`,
    ]);
    await world.apply(provider('honest', 'digits'));
    const lease = async () =>
      (await world.plane.kubectl(['get', 'lease', 'cupel-operator', '-n', 'cupel-system', '--ignore-not-found'])) !== '';
    // The worst moment: a transaction is on its way, and only the node knows.
    const inFlight = async () => {
      const [latest, pending] = await Promise.all(
        (['latest', 'pending'] as const).map((tag) => world.market.client.nonce(address(OPERATOR), tag)),
      );
      return pending! > latest!;
    };
    let killedInFlight = 0;
    for (const moment of [300, 'in flight', 'in flight', 'in flight', 700] as const) {
      const child = await world.startOperator();
      await eventually('the lease', lease, 20_000);
      if (moment === 'in flight') await eventually('a transaction to be in flight', inFlight, 20_000).then(() => (killedInFlight += 1));
      else await sleep(moment);
      await child.kill();
      // As if ten seconds had passed: the dead holder does not come back.
      await world.plane.kubectl(['delete', 'lease', 'cupel-operator', '-n', 'cupel-system']);
    }
    expect(killedInFlight).toBe(3);
    operator = await world.startOperator();
    await world.until('honest', 'digits', 'Ready', 'True', 60_000);
    const { status } = await world.get('modelprovider', 'honest', 'digits');
    const modelId = status!.onChain!.modelId;
    const events = (await chainEvents()).filter((event) => 'modelId' in event && event.modelId === modelId);
    expect(events.filter(({ name }) => name === 'ModelRegistered')).toHaveLength(1);
    expect(events.filter(({ name }) => name === 'VersionAdded')).toHaveLength(1);
    expect(events.filter(({ name }) => name === 'Deposited')).toHaveLength(1);
    expect(await world.market.views.stake(modelId)).toMatchObject({ free: STAKE, bond: await world.market.views.minBond() });
    expect(await world.market.views.endpoint(modelId)).toBe('http://edge.honest.svc.cluster.local');
    expect(
      await world.market.views.allowance(
        world.market.deployment.contracts.stakeToken,
        address(OPERATOR),
        world.market.deployment.contracts.stakeVault,
      ),
    ).toBe(0n);
  }, 180_000);

  test('the edge learns of the engine, and kubectl tells the story', async () => {
    const list = await world.routers.honest.kv('engines', engineList).get('honest.edge');
    expect(list?.engines).toMatchObject([
      { publicName: 'digits', kind: 'integer', url: 'http://digits-engine.honest.svc:8000', draining: false, outputLength: 10 },
    ]);
    const table = await world.plane.kubectl(['get', 'modelproviders', '-n', 'honest']);
    expect(table).toMatch(/NAME +READY +REASON +MODEL +ENGINE +POOL +REPLICAS +PRICE +STAKE +AGE/);
    expect(table).toMatch(/digits +True +Serving +digits +Integer +1 +0\.001 per request +100 /);
    const events = await world.plane.kubectl(['get', 'events.events.k8s.io', '-n', 'honest', '-o', 'json']);
    for (const reason of ['Accepted', 'Verified', 'Answered', 'Registered', 'Staked', 'Serving'])
      expect(events).toContain(`"reason": "${reason}"`);
  });

  test('the scale subresource names the pods', async () => {
    const scale = JSON.parse(
      await world.plane.kubectl(['get', '--raw', '/apis/cupel.dev/v1alpha1/namespaces/honest/modelproviders/digits/scale']),
    ) as {
      status: object;
    };
    expect(scale.status).toEqual({ replicas: 1, selector: 'cupel.dev/modelprovider=digits' });
  });

  test('pool and market are counted and checked', async () => {
    const pool = await world.get('gpunodepool', undefined, 'pool');
    expect(pool.status).toMatchObject({
      nodes: { total: 1, ready: 1 },
      accelerators: { capacity: 4, allocatable: 4, allocated: 0, free: 4, unhealthy: 0 },
    });
    const local = await world.get('market', undefined, 'local');
    expect(local.status).toMatchObject({ chainId: world.anvil.chainId, accounts: [{ address: address(OPERATOR), float: 'Enough' }] });
    await world.apply(market('wrong-id', { chain: { id: 5 } }), market('nobody', { rpc: [{ name: 'gone', url: 'http://127.0.0.1:9' }] }));
    const wrong = await world.until(undefined, 'wrong-id', 'Ready', 'False');
    expect(wrong).toMatchObject({ reason: 'WrongChainId' });
    expect(wrong.message).toContain(`spec.chain.id is 5, but anvil is chain ${world.anvil.chainId}`);
    expect((await world.until(undefined, 'nobody', 'Ready', 'False')).message).toContain('no endpoint of spec.rpc answers');
  });

  test('an accelerator is placed and counted; without free ones the condition says so', async () => {
    await world.apply(provider('honest', 'gpu', { accelerator: { count: 3 }, poolRef: { name: 'pool' }, approval: 'Manual' }));
    await eventually(
      'free to be 1',
      async () => ((await world.get('gpunodepool', undefined, 'pool')).status!['accelerators'] as { free: number }).free === 1,
      15_000,
    );
    expect(await world.until('honest', 'gpu', 'Ready', 'False')).toBeDefined();
    await eventually(
      'approval to be awaited',
      async () =>
        (await world.get('modelprovider', 'honest', 'gpu')).status?.conditions?.find(
          (c) => c.type === 'Stalled' && c.reason === 'AwaitingApproval',
        ),
      20_000,
    );
    await world.apply(provider('honest', 'gpu', { accelerator: { count: 3 }, poolRef: { name: 'pool' }, approval: 'Manual', replicas: 2 }));
    const placed = await world.until('honest', 'gpu', 'Placed', 'False');
    expect(placed.message).toContain('GPUNodePool "pool" has 1 free nvidia.com/gpu, 3 more are needed');
    await world.plane.kubectl(['delete', 'modelprovider', 'gpu', '-n', 'honest', '--wait=false']);
    await gone('modelprovider', 'honest', 'gpu');
    await gone('deployment', 'honest', 'gpu-engine');
  }, 60_000);

  describe('what the operator refuses: the condition tells, and nothing is made', () => {
    const cases: [string, object, string, RegExp][] = [
      ['engine', { engine: { type: 'SGLang' } }, 'UnsupportedEngine', /use one of LlamaCpp, Integer, Custom/],
      [
        'source',
        { model: { name: 'digits', manifest: { sha256: 'ab'.repeat(32) }, source: { huggingFace: { repository: 'a/b' } } } },
        'UnsupportedSource',
        /use one of pvc/,
      ],
      ['mode', { verification: { mode: 'ZeroKnowledge' } }, 'UnsupportedMode', /use one of None, Replay, IntegerExecution/],
      [
        'pod template',
        { podTemplate: { spec: { hostNetwork: true } } },
        'ForbiddenPodTemplateField',
        /spec\.podTemplate\.spec\.hostNetwork is not allowed/,
      ],
      ['secret', { identity: 'other-secret' }, 'KeySecretNotFound', /create Secret "other" with key "key" in namespace honest/],
      ['market', { marketRef: { name: 'wrong-id' } }, 'MarketNotReady', /spec\.chain\.id is 5/],
      ['pool', { accelerator: { count: 1 }, poolRef: { name: 'nowhere' } }, 'PoolNotFound', /there is no GPUNodePool "nowhere"/],
    ];
    test.each(cases)(
      '%s',
      async (name, changes, reason, message) => {
        const object = `bad-${name.replace(' ', '-')}`;
        const base = provider('honest', object).spec.identity;
        const spec = 'identity' in changes ? { identity: { ...base, operatorKeyRef: { name: 'other', key: 'key' } } } : changes;
        await world.apply(provider('honest', object, spec));
        const ready = await eventually(
          'the refusal',
          async () =>
            (await world.get('modelprovider', 'honest', object)).status?.conditions?.find((c) => c.type === 'Ready' && c.reason === reason),
          15_000,
        );
        expect(ready.message).toMatch(message);
        expect(
          await world.plane.kubectl([
            'get',
            'deployments,services,networkpolicies',
            '-n',
            'honest',
            '-l',
            `cupel.dev/modelprovider=${object}`,
          ]),
        ).toBe('');
        await world.plane.kubectl(['delete', 'modelprovider', object, '-n', 'honest', '--wait=false']);
        await gone('modelprovider', 'honest', object);
      },
      60_000,
    );
  });

  test('one flipped weight byte: no ready pod, nothing on chain, the file named', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cupel-flipped-'));
    await cp(DIGITS, folder, { recursive: true });
    const weights = await readFile(join(folder, 'weights.bin'));
    weights[5000]! ^= 1;
    await writeFile(join(folder, 'weights.bin'), weights);
    await world.claim('honest', 'flipped', folder);
    const before = (await chainEvents()).length;
    const spec = provider('honest', 'flipped').spec;
    await world.apply(provider('honest', 'flipped', { model: { ...spec.model, source: { pvc: { claimName: 'flipped' } } } }));
    const condition = await world.until('honest', 'flipped', 'ManifestVerified', 'False');
    expect(condition).toMatchObject({ reason: 'ManifestMismatch' });
    expect(condition.message).toContain('weights.bin: its sha256 is');
    expect((await world.get('modelprovider', 'honest', 'flipped')).status).toMatchObject({ readyReplicas: 0 });
    expect((await chainEvents()).length).toBe(before);
    await world.plane.kubectl(['delete', 'modelprovider', 'flipped', '-n', 'honest', '--wait=false']);
    await gone('modelprovider', 'honest', 'flipped');
    for (const name of ['gpu-engine', 'flipped-engine'])
      for (const kind of ['deployment', 'service', 'serviceaccount', 'networkpolicy']) await gone(kind, 'honest', name);
    await eventually(
      'the accelerators to be free',
      async () => ((await world.get('gpunodepool', undefined, 'pool')).status!['accelerators'] as { free: number }).free === 4,
      20_000,
    );
  }, 60_000);

  test('a second apply and a restart of the operator: nothing is written but the Lease, nothing is sent', async () => {
    await sleep(2000);
    const before = await versions();
    const sent = await nonces();
    await world.apply(provider('honest', 'digits'), market('local'));
    await operator.stop(8000);
    const from = (await readFile(world.plane.auditLogPath, 'utf8')).length;
    operator = await world.startOperator();
    const probes = world.probes.length;
    await eventually('the new operator to have asked', () => world.probes.length > probes, 20_000);
    await sleep(4000);
    expect(await versions()).toEqual(before);
    expect(await nonces()).toEqual(sent);
    const writes = (await readFile(world.plane.auditLogPath, 'utf8'))
      .slice(from)
      .split('\n')
      .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as { verb: string; requestURI: string; user: { username: string } }]))
      .filter(({ verb, user }) => user.username.endsWith(':cupel-operator') && !['get', 'list', 'watch'].includes(verb))
      .filter(({ requestURI }) => !requestURI.includes('/leases'));
    expect(writes).toEqual([]);
  }, 60_000);

  test('drift is put right', async () => {
    const uid = (await world.get('service', 'honest', 'digits-engine')).metadata.uid;
    await world.plane.kubectl(['delete', 'service', 'digits-engine', '-n', 'honest']);
    await eventually(
      'the Service to be back',
      async () => (await world.get('service', 'honest', 'digits-engine')).metadata.uid !== uid,
      10_000,
    );
    await world.plane.kubectl([
      'patch',
      'networkpolicy',
      'digits-engine',
      '-n',
      'honest',
      '--type=merge',
      '-p',
      '{"spec":{"ingress":[{}]}}',
    ]);
    const closed = await eventually(
      'the policy to be closed again',
      async () => JSON.stringify(await world.get('networkpolicy', 'honest', 'digits-engine')).includes('cupel.dev/edge'),
      10_000,
    );
    expect(closed).toBe(true);
  });

  test('a price follows the spec', async () => {
    const { modelId } = (await world.get('modelprovider', 'honest', 'digits')).status!.onChain!;
    await world.apply(provider('honest', 'digits', { pricing: { perRequest: '0.0015' } }));
    await eventually('the price on chain', async () => (await world.market.views.prices(modelId)).perRequest === 1500n, 20_000);
    expect(await world.until('honest', 'digits', 'Ready', 'True')).toMatchObject({ reason: 'Serving' });
  }, 60_000);

  test('all JetStream data is lost: the edges are told again', async () => {
    await world.nats.restart({ wipe: true });
    const list = await eventually('the list to be back', () => world.routers.honest.kv('engines', engineList).get('honest.edge'), 40_000);
    expect(list.engines).toMatchObject([{ publicName: 'digits', draining: false }]);
    // The edge may make no stream: its receipts find the one that the operator has made again.
    await eventually(
      'the stream of receipts',
      () => world.edges.honest.publish(receiptsSubject(edgeScope('honest', 'edge')), { version: 1 }),
      20_000,
    );
  }, 60_000);

  test('claims: an edge posts a root of its own version, another edge may not, and it is finalized after its window', async () => {
    const { versionId } = (await world.get('modelprovider', 'honest', 'digits')).status!.onChain!;
    const root = `0x${'77'.repeat(32)}`;
    const request = { version: 1, versionId, root, count: 3, maxPrice: '1000' };
    const foreign = await world.edges.doomed.call(claimsPostSubject(edgeScope('doomed', 'edge')), request, claimPostValue, {
      timeoutMs: 20_000,
    });
    expect(foreign).toMatchObject({ ok: false, refusal: { reason: 'version_unknown' } });
    const posted = await world.edges.honest.call(claimsPostSubject(edgeScope('honest', 'edge')), request, claimPostValue, {
      timeoutMs: 20_000,
    });
    if (!posted.ok) throw new Error(posted.refusal.message);
    const again = await world.edges.honest.call(claimsPostSubject(edgeScope('honest', 'edge')), request, claimPostValue, {
      timeoutMs: 20_000,
    });
    expect(again).toEqual(posted);
    expect(await world.market.views.claim(posted.value.claimId)).toMatchObject({ status: 'open', count: 3 });
    await eventually(
      'the claim to be final',
      async () => (await world.market.views.claim(posted.value.claimId)).status === 'final',
      30_000,
    );
    expect((await chainEvents()).filter(({ name }) => name === 'RootPosted')).toHaveLength(1);
  }, 60_000);

  test('slashed and suspended: shown, drained, not registered again', async () => {
    await world.apply(provider('doomed', 'liar'));
    await world.until('doomed', 'liar', 'Ready', 'True', 60_000);
    const { modelId } = (await world.get('modelprovider', 'doomed', 'liar')).status!.onChain!;
    const { disputeManager, modelRegistry } = world.market.deployment.contracts;
    await world.anvil.rpc('anvil_impersonateAccount', [disputeManager]);
    await world.anvil.rpc('anvil_setBalance', [disputeManager, '0xde0b6b3a7640000']);
    // suspend(bytes32), as the court calls it.
    await world.anvil.rpc('eth_sendTransaction', [
      { from: disputeManager, to: modelRegistry, data: interfaces.modelRegistry.encodeFunctionData('suspend', [modelId]) },
    ]);
    const slashed = await world.until('doomed', 'liar', 'Slashed', 'True', 20_000);
    expect(slashed.message).toContain('1 dispute was upheld on chain; of 100 of stake 100 are left');
    expect(await world.until('doomed', 'liar', 'Ready', 'False')).toMatchObject({ reason: 'Slashed' });
    expect((await world.routers.doomed.kv('engines', engineList).get('doomed.edge'))?.engines).toMatchObject([{ draining: true }]);
  }, 90_000);

  test('a namespace is deleted while it is staked: the stake starts to unbond, and all of it goes', async () => {
    await world.apply(provider('doomed', 'honest-one'));
    await world.until('doomed', 'honest-one', 'Ready', 'True', 60_000);
    const ids = await Promise.all(
      ['liar', 'honest-one'].map(async (name) => (await world.get('modelprovider', 'doomed', name)).status!.onChain!.modelId),
    );
    await world.plane.kubectl(['delete', 'namespace', 'doomed', '--wait=false']);
    await eventually(
      'the namespace to be gone',
      async () => (await world.plane.kubectl(['get', 'namespace', 'doomed', '--ignore-not-found'])) === '',
      60_000,
    );
    for (const modelId of ids) expect((await world.market.views.stake(modelId)).unbondEnd).toBeGreaterThan(0);
    expect((await world.market.views.model(ids[1]!)).status).toBe('retired');
    // A watched namespace that is not there must not keep the operator from starting: the next test needs it.
    await operator.stop(8000);
    operator = await world.startOperator();
  }, 120_000);

  test('deleted: retired on chain, children and finalizers gone, the key let go', async () => {
    const { modelId } = (await world.get('modelprovider', 'honest', 'digits')).status!.onChain!;
    expect((await world.get('secret', 'honest', 'operator-key')).metadata.finalizers).toEqual(['cupel.dev/key-in-use']);
    await world.plane.kubectl(['delete', 'modelprovider', 'digits', '-n', 'honest', '--wait=false']);
    await gone('modelprovider', 'honest', 'digits');
    expect((await world.market.views.model(modelId)).status).toBe('retired');
    expect((await world.market.views.stake(modelId)).unbonding).toBe(STAKE);
    expect((await world.get('secret', 'honest', 'operator-key')).metadata.finalizers ?? []).toEqual([]);
    await gone('deployment', 'honest', 'digits-engine');
  }, 60_000);

  test('no key in log, events, status or audit log', async () => {
    const everything = [
      await world.operatorLog(),
      await world.plane.kubectl(['get', 'events.events.k8s.io', '-A', '-o', 'yaml']),
      await world.plane.kubectl(['get', 'modelproviders,markets', '-A', '-o', 'yaml']),
    ].join('\n');
    for (const account of [OPERATOR, DOOMED_OPERATOR]) expect(everything).not.toContain(world.anvil.accounts[account]!.privateKey.slice(2));
  });
});
