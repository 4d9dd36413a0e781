import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isNotFound } from '@cupel/kube/api-error';
import { createApplier } from '@cupel/kube/applier';
import { type Client, createClient } from '@cupel/kube/client';
import { setCondition, writeStatus } from '@cupel/kube/conditions';
import { loadKubeConfig } from '@cupel/kube/credentials';
import { createRecorder } from '@cupel/kube/events';
import { addFinalizer, removeFinalizer } from '@cupel/kube/finalizers';
import { createLease, fencedClient, type Lease } from '@cupel/kube/lease';
import { createManager } from '@cupel/kube/manager';
import { controllerName, type KubeObject, nameOf, ownerReference } from '@cupel/kube/object';
import {
  configMaps,
  customResourceDefinitions,
  defineResource,
  deployments,
  events,
  leases,
  namespaces,
  networkPolicies,
  secrets,
  serviceAccounts,
  services,
} from '@cupel/kube/resource';
import { createTransport, type ApiRequest, type Transport } from '@cupel/kube/transport';
import type { Condition } from '@cupel/kube/conditions';
import { type ControlPlane, startControlPlane } from '@cupel/local/processes/control-plane';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

interface Widget extends KubeObject {
  readonly spec?: { readonly size?: number; readonly replicas?: number; readonly template?: Readonly<Record<string, unknown>> };
  readonly status?: { readonly observedGeneration?: number; readonly replicas?: number; readonly conditions?: readonly Condition[] };
}
const widgets = defineResource<Widget>({ group: 'test.cupel.dev', version: 'v1', kind: 'Widget', plural: 'widgets', namespaced: true });

const condition = { type: 'object', required: ['type', 'status'], 'x-kubernetes-preserve-unknown-fields': true };
const widgetDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.test.cupel.dev' },
  spec: {
    group: 'test.cupel.dev',
    scope: 'Namespaced',
    names: { kind: 'Widget', plural: 'widgets', singular: 'widget', listKind: 'WidgetList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {}, scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' } },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: {
                  size: { type: 'integer' },
                  replicas: { type: 'integer' },
                  template: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
                },
              },
              status: {
                type: 'object',
                properties: {
                  observedGeneration: { type: 'integer' },
                  replicas: { type: 'integer' },
                  conditions: {
                    type: 'array',
                    items: { ...condition, properties: { type: { type: 'string' }, status: { type: 'string' } } },
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['type'],
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
};

let cluster: ControlPlane;
let proxy: TcpProxy;
let client: Client;
const transports: Transport[] = [];
/** Writes that left this process, `METHOD path`. */
const writes: string[] = [];

const counted = (transport: Transport): Transport => ({
  ...transport,
  send: (request: ApiRequest) => {
    if (request.method !== 'GET') writes.push(`${request.method} ${request.path}`);
    return transport.send(request);
  },
});

function connectTo(options: { readonly port?: number; readonly connections?: number } = {}): Client {
  const config = loadKubeConfig({ path: cluster.kubeconfigPath });
  if (options.port !== undefined)
    config.clusters = config.clusters.map((entry) => ({ ...entry, server: `https://127.0.0.1:${options.port}` }));
  const transport = createTransport({ config, ...(options.connections === undefined ? {} : { connections: options.connections }) });
  transports.push(transport);
  return createClient({ transport: counted(transport), fieldManager: 'kube-test' });
}

async function eventually(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<number> {
  const beganMs = performance.now();
  while (!(await holds())) {
    if (performance.now() - beganMs > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(10);
  }
  return performance.now() - beganMs;
}

const widget = (namespace: string, name: string, spec: Widget['spec'] = {}): Widget => ({
  apiVersion: 'test.cupel.dev/v1',
  kind: 'Widget',
  metadata: { namespace, name },
  spec,
});

async function newNamespace(name: string): Promise<string> {
  await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  return name;
}

beforeAll(async () => {
  cluster = await startControlPlane();
  proxy = await startTcpProxy({ host: '127.0.0.1', port: Number(new URL(cluster.server).port) });
  client = connectTo();
  await client.apply(customResourceDefinitions, widgetDefinition);
  await eventually('the CRD is served', async () => {
    try {
      await client.list(widgets);
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  });
});

afterAll(async () => {
  await Promise.all(transports.map((transport) => transport.close()));
  await proxy?.[Symbol.asyncDispose]();
  await cluster?.stop();
});

describe('client against a real API server', () => {
  it('keeps fields that it does not know through server-side apply, and lists in pages', async () => {
    const namespace = await newNamespace('apply');
    const template = { futureField: { nested: [1, { deep: true }] }, containers: [{ name: 'a', brandNew: 'x' }] };
    for (let number = 0; number < 7; number++) await client.apply(widgets, widget(namespace, `w${number}`, { size: number, template }));
    const { items } = await client.list(widgets, { namespace, pageSize: 3 });
    expect(items.map(({ spec }) => spec?.size)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(items[3]?.spec?.template).toEqual(template);
    expect(items[3]?.kind).toBe('Widget');
    expect(
      (await client.list(configMaps, { namespace })).items.every(({ kind, apiVersion }) => kind === 'ConfigMap' && apiVersion === 'v1'),
    ).toBe(true);
  });

  it('applies status and scale, tries without effect, and deletes only the object that was meant', async () => {
    const namespace = await newNamespace('sub');
    const created = await client.create(widgets, widget(namespace, 'w', { size: 1, replicas: 1 }));
    await client.apply(widgets, { ...widget(namespace, 'w', { size: 9 }) }, { dryRun: true });
    expect((await client.get(widgets, nameOf(created)))?.spec?.size).toBe(1);
    await client.mergePatch(widgets, nameOf(created), { spec: { replicas: 4 } }, { subresource: 'scale' });
    expect((await client.get(widgets, nameOf(created)))?.spec?.replicas).toBe(4);

    const ready = { type: 'Ready', status: 'True', reason: 'Fine', message: '', observedGeneration: 1 } as const;
    const status = { observedGeneration: 1, conditions: setCondition(undefined, ready, '2026-01-01T00:00:00Z') };
    expect(await writeStatus(client, widgets, created, status)).toBe(true);
    const live = await client.get(widgets, nameOf(created));
    if (live === undefined) throw new Error('gone');
    writes.length = 0;
    const again = { observedGeneration: 1, conditions: setCondition(live.status?.conditions, ready, '2027-01-01T00:00:00Z') };
    expect(await writeStatus(client, widgets, live, again)).toBe(false);
    expect(writes).toEqual([]);
    // A condition that is not given any more goes away.
    expect(await writeStatus(client, widgets, live, { observedGeneration: 1, conditions: [] })).toBe(true);
    expect((await client.get(widgets, nameOf(created)))?.status?.conditions ?? []).toEqual([]);

    await expect(client.delete(widgets, nameOf(created), { uid: 'another' })).rejects.toThrow(/409/);
    expect(await client.delete(widgets, nameOf(created), { uid: live.metadata.uid })).toBe(true);
    expect(await client.delete(widgets, nameOf(created))).toBe(false);
    // Its successor must not get its status.
    await client.create(widgets, widget(namespace, 'w'));
    await expect(writeStatus(client, widgets, live, { ...status, replicas: 3 })).rejects.toThrow(/409|422/);
    expect((await client.get(widgets, nameOf(created)))?.status).toBeUndefined();
  });

  it('adds and removes finalizers beside those of others, whatever it last read', async () => {
    const namespace = await newNamespace('finalizers');
    const stale = await client.create(widgets, widget(namespace, 'w'));
    expect(await addFinalizer(client, widgets, stale, 'cupel.dev/one')).toBe(true);
    expect(await addFinalizer(client, widgets, stale, 'cupel.dev/two')).toBe(true);
    expect(await addFinalizer(client, widgets, stale, 'cupel.dev/two')).toBe(false);
    const live = await client.get(widgets, nameOf(stale));
    if (live === undefined) throw new Error('gone');
    expect(live.metadata.finalizers).toEqual(['cupel.dev/one', 'cupel.dev/two']);
    await client.delete(widgets, nameOf(stale));
    expect(await removeFinalizer(client, widgets, live, 'cupel.dev/one')).toBe(true);
    // By now the index that `live` knows for "two" is wrong.
    expect(await removeFinalizer(client, widgets, live, 'cupel.dev/two')).toBe(true);
    expect(await client.get(widgets, nameOf(stale))).toBeUndefined();
    expect(await removeFinalizer(client, widgets, live, 'cupel.dev/two')).toBe(false);
  });

  it('writes events once, and repetitions as a series', async () => {
    const namespace = await newNamespace('events');
    const regarding = await client.create(widgets, widget(namespace, 'w'));
    const recorder = createRecorder({ client, controller: 'cupel.dev/test', instance: 'pod-1', burst: 2 });
    const facts = { type: 'Warning', reason: 'ManifestMismatch', action: 'Verify', note: 'file é differs; upload it again' } as const;
    for (let time = 0; time < 5; time++) recorder.record(regarding, facts);
    recorder.record(regarding, { ...facts, note: 'x'.repeat(5000) });
    recorder.record(regarding, { ...facts, note: 'over the limit' });
    await recorder.flush();
    const { items } = await client.list(events, { namespace });
    const written = items.map((item) => item as KubeObject & { note?: string; series?: { count: number } });
    expect(written).toHaveLength(2);
    expect(written.find(({ note }) => note === facts.note)?.series?.count).toBe(5);
  });
});

describe('applier against a real API server', () => {
  it('makes no call for any child when nothing differs, repairs drift, drops what is not desired any more', async () => {
    const namespace = await newNamespace('applier');
    const applier = createApplier({ client, annotation: 'cupel.dev/applied' });
    const labels = { app: 'x' };
    const deployment = (more: object = {}) => ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { namespace, name: 'd', labels },
      spec: {
        replicas: 0,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            automountServiceAccountToken: false,
            hostNetwork: false,
            securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
            tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }],
            initContainers: [{ name: 'verify', image: 'i:1' }],
            containers: [
              {
                name: 'engine',
                image: 'i:1',
                args: ['--x'],
                ports: [{ name: 'http', containerPort: 8000 }],
                env: [
                  { name: 'PORT', value: '8000' },
                  { name: 'EMPTY', value: '' },
                ],
                resources: { requests: { cpu: '1000m', memory: '1024Mi' }, limits: { memory: '1Gi', 'nvidia.com/gpu': '1' } },
                readinessProbe: { httpGet: { path: '/health', port: 8000 }, periodSeconds: 5 },
                securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
                volumeMounts: [{ name: 'models', mountPath: '/models', readOnly: true }],
                ...more,
              },
            ],
            volumes: [{ name: 'models', emptyDir: { sizeLimit: '2048Mi' } }],
          },
        },
      },
    });
    const others = [
      [
        services,
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { namespace, name: 's' },
          spec: { selector: labels, ports: [{ port: 80, targetPort: 8000 }] },
        },
      ],
      [
        serviceAccounts,
        { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name: 'sa' }, automountServiceAccountToken: false },
      ],
      [secrets, { apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name: 'key' }, stringData: { key: 'value' } }],
      [configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name: 'c' }, data: { a: '', b: '1' } }],
      [
        networkPolicies,
        {
          apiVersion: 'networking.k8s.io/v1',
          kind: 'NetworkPolicy',
          metadata: { namespace, name: 'n' },
          spec: {
            podSelector: { matchLabels: labels },
            policyTypes: ['Ingress', 'Egress'],
            ingress: [{ from: [{ podSelector: { matchLabels: { a: 'b' } } }], ports: [{ port: 8000 }] }],
            egress: [],
          },
        },
      ],
    ] as const;
    const pass = async (desired: ReturnType<typeof deployment>): Promise<string[]> => {
      writes.length = 0;
      await applier.apply(deployments, desired, await client.get(deployments, nameOf(desired)));
      for (const [resource, object] of others)
        await applier.apply<KubeObject, KubeObject>(resource, object, await client.get<KubeObject>(resource, nameOf(object)));
      return writes.map((line) => line.replace(/\?.*/, '').split('/').slice(-2).join('/'));
    };
    expect(await pass(deployment())).toHaveLength(6);
    // The deployment controller adds an annotation and a status by itself.
    await sleep(300);
    expect(await pass(deployment())).toEqual([]);
    // A fresh process remembers nothing and still makes no call.
    const fresh = createApplier({ client, annotation: 'cupel.dev/applied' });
    writes.length = 0;
    for (const [resource, object] of others)
      await fresh.apply<KubeObject, KubeObject>(resource, object, await client.get<KubeObject>(resource, nameOf(object)));
    await fresh.apply(deployments, deployment(), await client.get(deployments, { namespace, name: 'd' }));
    expect(writes).toEqual([]);

    await cluster.kubectl(['-n', namespace, 'label', 'deployment', 'd', 'foreign=kept']);
    expect(await pass(deployment())).toEqual([]);
    await cluster.kubectl(['-n', namespace, 'set', 'image', 'deployment/d', 'engine=evil:1']);
    await cluster.kubectl([
      '-n',
      namespace,
      'patch',
      'networkpolicy',
      'n',
      '--type=json',
      '-p',
      '[{"op":"add","path":"/spec/egress","value":[{}]}]',
    ]);
    expect((await pass(deployment())).sort()).toEqual(['deployments/d', 'networkpolicies/n']);
    expect(await pass(deployment())).toEqual([]);
    const repaired = await client.get(deployments, { namespace, name: 'd' });
    expect(JSON.stringify(repaired?.spec)).toContain('i:1');
    expect(JSON.stringify(repaired?.spec)).not.toContain('evil');
    expect(repaired?.metadata.labels?.['foreign']).toBe('kept');
    expect((await client.get(networkPolicies, { namespace, name: 'n' }))?.spec?.['egress'] ?? []).toEqual([]);

    const shorter = deployment({ args: undefined });
    expect(await pass(shorter)).toEqual(['deployments/d']);
    expect(JSON.stringify(await client.get(deployments, { namespace, name: 'd' }))).not.toContain('--x');
    expect(await pass(shorter)).toEqual([]);
  });
});

describe('informer against a real API server', () => {
  it('sees a change within 1.5 s of a TCP reset, and within 5 s of a killed API server being back', async () => {
    const namespace = await newNamespace('faults');
    const manager = createManager({ client: connectTo({ port: proxy.port }) });
    const informer = manager.informer(widgets, { namespaces: [namespace] });
    await manager.start();
    const seen = (name: string) => (): boolean => informer.store.get({ namespace, name }) !== undefined;
    await client.create(widgets, widget(namespace, 'before'));
    await eventually('the first object', seen('before'));

    proxy.reset();
    await client.create(widgets, widget(namespace, 'after-reset'));
    const resetMs = await eventually('the object after the reset', seen('after-reset'));
    expect(resetMs).toBeLessThan(1500);

    await cluster.restart('kube-apiserver');
    await client.create(widgets, widget(namespace, 'after-restart'));
    const restartMs = await eventually('the object after the restart', seen('after-restart'));
    expect(restartMs).toBeLessThan(5000);
    expect(informer.store.size).toBe(3);
    console.log(`recovery: ${Math.round(resetMs)} ms after a TCP reset, ${Math.round(restartMs)} ms after the API server was back`);
    await manager.stop();
  });
});

describe('lease against a real API server', () => {
  const newLease = (name: string, port?: number): Lease =>
    createLease({
      client: connectTo({ connections: 1, ...(port === undefined ? {} : { port }) }),
      namespace: 'default',
      name,
      identity: 'pod',
    });
  const compete = (lease: Lease): { stop: () => Promise<void> } => {
    const end = new AbortController();
    const running = lease.run(end.signal, { onHeld: () => {}, onLost: () => {} });
    return {
      stop: async () => {
        end.abort();
        await running;
      },
    };
  };

  it('passes on within 2 s when it is given back', async () => {
    const [first, second] = [newLease('release'), newLease('release')];
    const one = compete(first);
    await eventually('the first holds it', first.held);
    const two = compete(second);
    await sleep(300);
    expect(second.held()).toBe(false);
    await one.stop();
    expect(first.held()).toBe(false);
    expect(await eventually('the second holds it', second.held)).toBeLessThan(2000);
    const lease = await client.get(leases, { namespace: 'default', name: 'release' });
    expect(lease?.spec?.['leaseTransitions']).toBe(1);
    await two.stop();
  });

  it('is never held by two when the holder is cut off, and the holder can write no more', async () => {
    const [first, second] = [newLease('cut', proxy.port), newLease('cut')];
    const one = compete(first);
    await eventually('the first holds it', first.held);
    const two = compete(second);
    const fenced = fencedClient(client, first);
    await fenced.apply(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'default', name: 'fenced' } });
    proxy.blackHole = true;
    let both = false;
    let lostMs: number | undefined;
    const beganMs = performance.now();
    const tookMs = await eventually(
      'the second takes over',
      () => {
        both ||= first.held() && second.held();
        if (!first.held()) lostMs ??= performance.now() - beganMs;
        return second.held();
      },
      15_000,
    );
    expect(both).toBe(false);
    expect(lostMs).toBeLessThan(6200);
    expect(tookMs).toBeLessThan(13_000);
    await expect(fenced.delete(configMaps, { namespace: 'default', name: 'fenced' })).rejects.toThrow(/lease is not held/);
    console.log(`lease: the holder stopped after ${Math.round(lostMs ?? 0)} ms, the next took over after ${Math.round(tookMs)} ms`);
    proxy.blackHole = false;
    proxy.reset();
    await one.stop();
    await two.stop();
  });
});

describe('manager against a real API server', () => {
  it('converges through a restart of the API server, repairs, writes nothing at rest, and stops', async () => {
    const namespace = await newNamespace('manager');
    const lease = createLease({ client: connectTo({ connections: 1 }), namespace, name: 'operator', identity: 'pod' });
    const manager = createManager({ client: connectTo(), lease });
    const parents = manager.informer(widgets, { namespaces: [namespace] });
    const children = manager.informer(configMaps, { namespaces: [namespace], labelSelector: 'by=kube-test' });
    const applier = createApplier({ client: manager.client, annotation: 'cupel.dev/applied' });
    const active = new Set<string>();
    let overlaps = 0;
    manager.controller({
      name: 'widget',
      concurrency: 4,
      watches: [parents.names(), children.names((child) => controllerName(child, 'Widget'))],
      reconcile: async (name) => {
        if (active.has(name.name)) overlaps++;
        active.add(name.name);
        try {
          const live = parents.store.get(name);
          if (live === undefined) return {};
          const desired = {
            apiVersion: 'v1',
            kind: 'ConfigMap',
            metadata: { ...name, labels: { by: 'kube-test' }, ownerReferences: [ownerReference(live)] },
            data: { size: String(live.spec?.size) },
          };
          await applier.apply(configMaps, desired, children.store.get(name));
          await writeStatus(manager.client, widgets, live, { observedGeneration: live.metadata.generation, replicas: 1 });
          return { lookAgainInMs: 60_000 };
        } finally {
          active.delete(name.name);
        }
      },
    });
    expect(manager.checks().filter(({ failure }) => failure() !== undefined)).toHaveLength(2);
    await manager.start();
    expect(manager.checks().filter(({ failure }) => failure() !== undefined)).toEqual([]);
    const count = 60;
    for (let number = 0; number < count; number++) await client.create(widgets, widget(namespace, `w${number}`, { size: number }));
    await cluster.restart('kube-apiserver');
    const settled = (): boolean =>
      children.store.size === count &&
      parents.store.list().every(({ status, metadata }) => status?.observedGeneration === metadata.generation);
    await eventually('every widget has its child and status', settled, 20_000);
    await sleep(1000);
    writes.length = 0;
    await sleep(3000);
    expect(writes.filter((line) => !line.includes('/leases/'))).toEqual([]);

    await client.delete(configMaps, { namespace, name: 'w7' });
    await client.mergePatch(configMaps, { namespace, name: 'w8' }, { data: { size: 'wrong' } });
    await client.mergePatch(widgets, { namespace, name: 'w9' }, { spec: { size: 900 } });
    const dataOf = async (name: string): Promise<string | undefined> => (await client.get(configMaps, { namespace, name }))?.data?.['size'];
    await eventually(
      'the repair',
      async () => (await dataOf('w7')) === '7' && (await dataOf('w8')) === '8' && (await dataOf('w9')) === '900',
    );
    expect(overlaps).toBe(0);
    await manager.stop();
    expect(lease.held()).toBe(false);
    expect((await client.get(leases, { namespace, name: 'operator' }))?.spec?.['holderIdentity'] ?? '').toBe('');
    writes.length = 0;
    await client.delete(configMaps, { namespace, name: 'w7' });
    await sleep(500);
    expect(writes.filter((line) => line.startsWith('PATCH'))).toEqual([]);
  });
});
