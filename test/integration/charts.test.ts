import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { checkoutFolder } from '@cupel/local/config';
import { allSecrets, chartFolder, releases } from '@cupel/local/demo/install';
import { readOperatorConfig } from '@cupel/operator/config';
import { paymentConfig } from '@cupel/payment/config';
import { routerConfig } from '@cupel/router/config';
import { verifierConfig } from '@cupel/verifier/config';
import { watcherConfig } from '@cupel/watcher/config';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';

import { changed, helm, objectsOf, podsOf, renderRelease, testStage } from './charts/render.ts';
import type { Manifest, PodSpec } from './charts/render.ts';
import { GROUPS, grants, rulesOf, tableOfRights } from './charts/rights.ts';

const stage = testStage();
const all = releases(stage);
const rendered = new Map<string, { text: string; objects: Manifest[] }>();
const byNamespace = (namespace: string): Manifest[] => rendered.get(namespace)?.objects ?? [];

beforeAll(async () => {
  for (const release of all) {
    const text = await renderRelease(release);
    rendered.set(release.namespace, { text, objects: objectsOf(text) });
  }
});

const configMap = z.looseObject({ data: z.object({ 'config.json': z.string() }).strict() });
const policy = z.looseObject({
  spec: z.looseObject({ podSelector: z.object({ matchLabels: z.record(z.string(), z.string()) }), policyTypes: z.array(z.string()) }),
});

const weaknesses = (spec: PodSpec): string[] => {
  const found: string[] = [];
  if (spec.securityContext.runAsNonRoot !== true) found.push('runAsNonRoot');
  if (spec.securityContext.seccompProfile?.type !== 'RuntimeDefault') found.push('seccompProfile');
  if (spec.volumes.some(({ hostPath }) => hostPath !== undefined)) found.push('hostPath');
  for (const key of ['hostNetwork', 'hostPID', 'hostIPC']) if (spec[key] !== undefined) found.push(key);
  for (const { name, securityContext: own, resources } of [...spec.initContainers, ...spec.containers]) {
    if (own.allowPrivilegeEscalation !== false) found.push(`${name}: allowPrivilegeEscalation`);
    if (own.readOnlyRootFilesystem !== true) found.push(`${name}: readOnlyRootFilesystem`);
    if (own.capabilities?.drop?.join() !== 'ALL' || own.capabilities.add !== undefined) found.push(`${name}: capabilities`);
    if (own.privileged === true || own.runAsNonRoot === false) found.push(`${name}: privileged`);
    if (resources.requests['memory'] === undefined || resources.limits['memory'] === undefined) found.push(`${name}: memory`);
  }
  return found;
};

describe('the four releases of the demo', () => {
  test('helm lint finds nothing', async () => {
    expect(await helm(['lint', '--strict', chartFolder('cupel-crds')])).toContain('0 chart(s) failed');
    for (const { values } of all) expect(await helm(['lint', '--strict', chartFolder('cupel')], values)).toContain('0 chart(s) failed');
  });

  test('render the same bytes again', async () => {
    for (const release of all) expect(await renderRelease(release)).toBe(rendered.get(release.namespace)?.text);
  });

  test('have the workloads that they should', () => {
    const owners = (namespace: string) => podsOf(byNamespace(namespace)).map(({ owner }) => owner);
    expect(owners('cupel-system').sort()).toEqual(['Deployment cupel-operator', 'Deployment cupel-watcher']);
    expect(owners('gateway').sort()).toEqual([
      'Deployment gateway-router',
      'Deployment gateway-verifier-engine-assistant',
      'Deployment gateway-watcher',
      'Pod gateway-test-models',
      'StatefulSet gateway-payment',
      'StatefulSet gateway-verifier',
    ]);
    expect(owners('honest').sort()).toEqual(['Deployment edge-router', 'StatefulSet edge-payment', 'StatefulSet edge-verifier']);
    expect(owners('cheat')).toEqual(owners('honest'));
  });

  test('have restricted pods only, and a token only where the API server is asked', () => {
    const pods = [...rendered.values()].flatMap(({ objects }) => podsOf(objects));
    expect(pods.map(({ owner, spec }) => [owner, weaknesses(spec)])).toEqual(pods.map(({ owner }) => [owner, []]));
    const withToken = pods.filter(({ spec }) => spec.automountServiceAccountToken !== false);
    expect(withToken.map(({ owner }) => owner)).toEqual(['Deployment cupel-operator']);
  });

  test('stop gently: what lingers and drains fits into the grace period', () => {
    const routers = ['gateway', 'honest', 'cheat'].map((namespace) => podsOf(byNamespace(namespace)).find((p) => p.component === 'router'));
    for (const router of routers) {
      const linger = router?.spec.containers[0]?.lifecycle?.preStop.sleep.seconds ?? 0;
      expect(linger).toBeGreaterThan(0);
      // 20 s of draining and 25 s of closing at most: services/router/src/config.ts and packages/runtime/src/lifecycle.ts.
      expect(router?.spec.terminationGracePeriodSeconds).toBeGreaterThan(linger + 20 + 25);
    }
  });

  test('watch every long-running container by liveness and readiness', () => {
    const pods = [...rendered.values()].flatMap(({ objects }) => podsOf(objects)).filter(({ owner }) => !owner.startsWith('Pod '));
    for (const { owner, spec } of pods)
      for (const { livenessProbe, readinessProbe } of spec.containers)
        expect([owner, livenessProbe, readinessProbe]).not.toContain(undefined);
  });

  test('never let a disruption budget block a drain', () => {
    const budget = z.looseObject({ spec: z.object({ maxUnavailable: z.literal(1), selector: z.looseObject({}) }).strict() });
    for (const [namespace, { objects }] of rendered) {
      const budgets = objects.filter(({ kind }) => kind === 'PodDisruptionBudget');
      expect([namespace, budgets.length > 0]).toEqual([namespace, true]);
      for (const object of budgets) budget.parse(object);
    }
  });

  test('have for every pod a NetworkPolicy of its own, both ways, beside the default deny', () => {
    for (const { objects } of rendered.values()) {
      const policies = objects.filter(({ kind }) => kind === 'NetworkPolicy').map((object) => ({ ...policy.parse(object), object }));
      for (const { spec } of policies) expect(spec.policyTypes).toEqual(['Ingress', 'Egress']);
      for (const pod of podsOf(objects)) {
        const over = policies.filter(({ spec }) => Object.entries(spec.podSelector.matchLabels).every(([k, v]) => pod.labels[k] === v));
        const names = over.map(({ object }) => object.metadata.name);
        expect(names.filter((name) => name.endsWith('-default-deny'))).toHaveLength(1);
        expect([pod.owner, names.length]).toEqual([pod.owner, 2]);
      }
    }
  });

  test('ask only for Secrets and keys that their owners make', () => {
    const made = new Map(allSecrets(stage).map(({ metadata, stringData }) => [`${metadata.namespace}/${metadata.name}`, stringData]));
    for (const { objects } of rendered.values()) {
      const configs = new Map(objects.filter(({ kind }) => kind === 'ConfigMap').map((o) => [o.metadata.name, configMap.parse(o).data]));
      for (const { owner, namespace, spec } of podsOf(objects)) {
        const config = configs.get(owner.split(' ')[1] ?? '')?.['config.json'] ?? '';
        const wanted = [...config.matchAll(/"\/etc\/cupel\/secrets\/([^/"]+)\/([^"]+)"/g)];
        for (const [, mount = '', key = ''] of wanted) {
          const volume = spec.volumes.find(({ name }) => name === `secret-${mount}`)?.secret?.secretName;
          expect(spec.containers[0]?.volumeMounts.map(({ mountPath }) => mountPath)).toContain(`/etc/cupel/secrets/${mount}`);
          expect(Object.keys(made.get(`${namespace}/${volume}`) ?? {}), `${owner}: ${mount}/${key}`).toContain(key);
        }
        expect(wanted.length > 0 || /verifier-engine|test-models/.test(owner)).toBe(true);
      }
    }
  });

  test('hand on what may be left out only when it is there', async () => {
    const gateway = all[1]!;
    const configOf = (objects: Manifest[], name: string) =>
      configMap.parse(objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name)).data['config.json'];
    const without = configOf(byNamespace('gateway'), 'gateway-router') + configOf(byNamespace('gateway'), 'gateway-verifier');
    expect(without).not.toMatch(/dataStore|maxPriceMicro|minStake|minBond/);
    const dataStore = stage.contracts.modelRegistry;
    const limits = { maxPriceMicro: '5000000', minStake: '7', minBond: '9' };
    const values = changed(gateway.values, { verifier: { dispute: { dataStore } }, gateway: limits });
    const objects = objectsOf(await renderRelease({ ...gateway, values }));
    expect(verifierConfig.parse(JSON.parse(configOf(objects, 'gateway-verifier'))).dispute).toEqual({ enabled: true, dataStore });
    expect(routerConfig.parse(JSON.parse(configOf(objects, 'gateway-router'))).gateway).toMatchObject({ maxPriceMicro: 5_000_000n });
    expect(JSON.parse(configOf(objects, 'gateway-router'))).toMatchObject({ gateway: limits });
  });

  test('write configurations that the services themselves take', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cupel-config-'));
    const readers: Record<string, (text: string) => unknown> = {
      router: (text) => routerConfig.parse(JSON.parse(text)),
      payment: (text) => paymentConfig.parse(JSON.parse(text)),
      watcher: (text) => watcherConfig.parse(JSON.parse(text)),
      verifier: (text) => verifierConfig.parse(JSON.parse(text)),
      operator: () => readOperatorConfig({ CUPEL_CONFIG: join(folder, 'operator.json'), HOSTNAME: 'pod-0' }),
    };
    const seen: string[] = [];
    for (const [namespace, { objects }] of rendered) {
      for (const object of objects.filter(({ kind }) => kind === 'ConfigMap')) {
        const component = object.metadata.labels['app.kubernetes.io/component'] ?? '';
        const text = configMap.parse(object).data['config.json'];
        await writeFile(join(folder, `${component}.json`), text);
        expect(() => readers[component]?.(text), `${namespace}/${component}`).not.toThrow();
        expect(readers[component]).toBeDefined();
        seen.push(`${namespace}/${component}`);
      }
    }
    await rm(folder, { recursive: true });
    const wanted = {
      'cupel-system': ['operator', 'watcher'],
      gateway: ['payment', 'router', 'verifier', 'watcher'],
      honest: ['payment', 'router', 'verifier'],
      cheat: ['payment', 'router', 'verifier'],
    };
    expect(seen.sort()).toEqual(
      Object.entries(wanted)
        .flatMap(([namespace, components]) => components.map((component) => `${namespace}/${component}`))
        .sort(),
    );
  });
});

describe("the operator's rights", () => {
  const roles = (kind: string) =>
    byNamespace('cupel-system').filter((o) => o.kind === kind && !/-(view|edit)$/.test(o.metadata.name)) satisfies Manifest[];

  test('are what its README says, both ways', async () => {
    const table = tableOfRights(await readFile(join(checkoutFolder, 'services/operator/README.md'), 'utf8'));
    expect(Object.keys(table).sort()).toEqual(['cluster', 'own namespace', 'watched namespaces']);
    expect(grants(roles('ClusterRole').flatMap(rulesOf))).toEqual(grants(table['cluster'] ?? []));
    const [own, ...watched] = [...roles('Role')].sort((a) => (a.metadata.namespace === 'cupel-system' ? -1 : 1));
    expect(grants(own === undefined ? [] : rulesOf(own))).toEqual(grants(table['own namespace'] ?? []));
    expect(watched.map(({ metadata }) => metadata.namespace)).toEqual(['honest', 'cheat']);
    for (const role of watched) expect(grants(rulesOf(role))).toEqual(grants(table['watched namespaces'] ?? []));
  });

  test('have no wildcard, right groups, and Secrets one by one in watched namespaces only', () => {
    const secretRules: unknown[] = [];
    const roleNames: unknown[] = [];
    for (const role of [...roles('ClusterRole'), ...roles('Role')]) {
      for (const { apiGroups, resources, verbs, resourceNames } of rulesOf(role)) {
        expect([...apiGroups, ...resources, ...verbs].filter((word) => word.includes('*'))).toEqual([]);
        expect(verbs.filter((verb) => ['escalate', 'bind', 'impersonate', 'deletecollection'].includes(verb))).toEqual([]);
        for (const resource of resources) expect([resource, apiGroups]).toEqual([resource, [GROUPS[resource]]]);
        if (resources.includes('secrets')) secretRules.push([role.kind, role.metadata.namespace, verbs]);
        if (resources.includes('roles')) roleNames.push(resourceNames);
      }
    }
    expect(secretRules).toEqual(['honest', 'cheat'].map((namespace) => ['Role', namespace, ['get', 'patch']]));
    expect(roleNames).toEqual([['cupel-operator']]);
  });

  test('are nobody else’s: no other release has a role', () => {
    for (const namespace of ['gateway', 'honest', 'cheat'])
      expect(byNamespace(namespace).filter(({ apiVersion }) => apiVersion.startsWith('rbac.'))).toEqual([]);
  });
});

describe('the sources of the charts', () => {
  const templates = async (): Promise<[string, string][]> => {
    const folder = join(chartFolder('cupel'), 'templates');
    const files = await readdir(folder, { recursive: true, withFileTypes: true });
    const paths = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
    return Promise.all(paths.map(async (path): Promise<[string, string]> => [path, await readFile(path, 'utf8')]));
  };

  test('use nothing that differs from one rendering to the next', async () => {
    const forbidden =
      /\b(lookup|rand[A-Z]\w*|uuidv4|gen[A-Z]\w*|derivePassword|htpasswd|bcrypt|encryptAES|now|ago|env|expandenv|getHostByName)\b/;
    const found = (await templates()).flatMap(([path, text]) =>
      [...text.matchAll(/\{\{-?(?!\s*\/\*)([\s\S]*?)\}\}/g)]
        .map(([, code = '']) => code.replaceAll(/"[^"]*"/g, '""'))
        .filter((code) => forbidden.test(code))
        .map((code) => `${path}: ${code.trim()}`),
    );
    expect(found).toEqual([]);
    expect(forbidden.test(' lookup "v1" ') && forbidden.test('randAlphaNum 8')).toBe(true);
  });

  test('hold the same custom resources as crds/, kept when the release goes', async () => {
    const definitions = objectsOf(await helm(['template', 'cupel-crds', chartFolder('cupel-crds')]));
    const files = (await readdir(join(checkoutFolder, 'crds'))).sort();
    const plain = (await Promise.all(files.map((file) => readFile(join(checkoutFolder, 'crds', file), 'utf8')))).flatMap(objectsOf);
    expect(definitions).toHaveLength(3);
    for (const { metadata } of definitions) expect(metadata.annotations['helm.sh/resource-policy']).toBe('keep');
    const facts = ({ kind, metadata: { name }, ['spec']: spec }: Manifest) => ({ kind, name, spec });
    const sorted = (list: Manifest[]) => list.map(facts).sort((a, b) => (a.name < b.name ? -1 : 1));
    expect(sorted(definitions)).toEqual(sorted(plain));
    const notes = await readFile(join(chartFolder('cupel-crds'), 'templates/NOTES.txt'), 'utf8');
    for (const word of [
      'cupel.dev/chain',
      'cupel.dev/key-in-use',
      'cupel.dev/operator-access',
      'cupel.dev/abandon=true',
      '"finalizers":null',
    ])
      expect(notes).toContain(word);
  });
});
