import { chartFolder, releases } from '@cupel/local/demo/install';
import type { Release } from '@cupel/local/demo/install';
import { namespace } from '@cupel/local/demo/objects';
import type { ControlPlane } from '@cupel/local/processes/control-plane';
import { startControlPlane } from '@cupel/local/processes/control-plane';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';

import { changed, helm, renderRelease, testStage } from './charts/render.ts';

const all = releases(testStage());
const NAMESPACES = ['cupel-system', 'gateway', 'honest', 'cheat'];

const list = z.looseObject({
  items: z.array(
    z.looseObject({
      kind: z.string(),
      metadata: z.looseObject({ name: z.string(), generation: z.number().optional(), resourceVersion: z.string() }),
    }),
  ),
});

describe('a real API server', () => {
  let plane: ControlPlane;

  beforeAll(async () => {
    plane = await startControlPlane({ controllers: false });
    for (const name of NAMESPACES) {
      await plane.kubectl(['apply', '--filename', '-'], JSON.stringify(namespace(name)));
      // Nobody else makes it without a controller manager, and no pod is admitted without.
      await plane.kubectl(['create', 'serviceaccount', 'default', '--namespace', name]);
    }
  });
  afterAll(async () => plane?.stop());

  const run = (args: readonly string[], values?: object) => helm([...args, '--kubeconfig', plane.kubeconfigPath], values);
  const install = ({ name, namespace: ns, values }: Release, ...more: string[]) =>
    run(['upgrade', '--install', name, chartFolder('cupel'), '--namespace', ns, ...more], values);
  const kinds = 'deployments,statefulsets,services,configmaps,networkpolicies,poddisruptionbudgets,serviceaccounts,roles,rolebindings';
  const versions = async (ns: string) => {
    const found = list.parse(JSON.parse(await plane.kubectl(['get', kinds, '--namespace', ns, '--output', 'json'])));
    return found.items.map(({ kind, metadata }) => `${kind}/${metadata.name} ${metadata.resourceVersion}`).sort();
  };

  test('takes the custom resources, and helm leaves them when their release goes', async () => {
    const crds = ['cupel-crds', chartFolder('cupel-crds'), '--namespace', 'cupel-system'];
    await run(['upgrade', '--install', ...crds]);
    await run(['uninstall', 'cupel-crds', '--namespace', 'cupel-system']);
    const left = await plane.kubectl(['get', 'customresourcedefinitions', '--output', 'name']);
    expect(left.match(/cupel\.dev$/gm)).toHaveLength(3);
    await run(['upgrade', '--install', ...crds]);
  });

  test.each(all)('takes every object of $namespace without a warning of pod security', async (release) => {
    const text = await renderRelease(release);
    const said = await plane.kubectl(['apply', '--dry-run=server', '--warnings-as-errors', '--filename', '-'], text);
    const expected = text.match(/^kind: /gm)?.length ?? 0;
    expect(said.match(/created \(server dry run\)/g)).toHaveLength(expected);
  });

  test('would have warned: the same server refuses a pod that may become root', async () => {
    const text = (await renderRelease(all[2]!)).replaceAll('allowPrivilegeEscalation: false', 'allowPrivilegeEscalation: true');
    const applied = plane.kubectl(['apply', '--dry-run=server', '--warnings-as-errors', '--filename', '-'], text);
    await expect(applied).rejects.toThrow(/restricted/);
  });

  test('an upgrade with the same values changes nothing, one with another value only its own pods', async () => {
    const gateway = all[1]!;
    await install(gateway);
    const before = await versions('gateway');
    expect(before.length).toBeGreaterThan(20);
    await install(gateway);
    expect(await versions('gateway')).toEqual(before);
    await install({ ...gateway, values: changed(gateway.values, { watcher: { pollMs: 500 } }) });
    const after = await versions('gateway');
    const moved = after.filter((one) => !before.includes(one)).map((one) => one.split(' ')[0]);
    expect(moved).toEqual(['ConfigMap/gateway-watcher', 'Deployment/gateway-watcher']);
  });

  test('the operator’s rights in a namespace that is watched no more go with the next upgrade', async () => {
    const cluster = all[0]!;
    await install(cluster);
    // The remedy that the notes of cupel-crds give for a finalizer whose operator has gone.
    const held = '{"metadata":{"finalizers":["cupel.dev/operator-access"]}}';
    const patch = ['patch', 'role,rolebinding', 'cupel-operator', '--namespace', 'cheat', '--type=merge'];
    await plane.kubectl([...patch, '-p', held]);
    await plane.kubectl([...patch, '-p', '{"metadata":{"finalizers":null}}']);
    await install({ ...cluster, values: changed(cluster.values, { watchNamespaces: ['honest'] }) });
    const left = await plane.kubectl(['get', 'role,rolebinding', '--namespace', 'cheat', '--output', 'name']);
    expect(left).toBe('');
  });

  test('an uninstalled edge leaves nothing but what it was told to keep', async () => {
    const edge = all[3]!;
    await install(edge);
    await run(['uninstall', edge.name, '--namespace', edge.namespace]);
    expect((await versions('cheat')).map((one) => one.split(' ')[0])).toEqual(['ServiceAccount/default']);
  });
});
