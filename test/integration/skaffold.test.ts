import { access, glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { checkoutFolder } from '@cupel/local/config';
import { releases } from '@cupel/local/demo/install';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';

import { changed, helm, objectsOf, podsOf, testStage } from './charts/render.ts';
import { skaffoldConfig } from './charts/skaffold-schema.ts';
import type { HelmRelease, PortForward } from './charts/skaffold-schema.ts';

const text = await readFile(join(checkoutFolder, 'skaffold.yaml'), 'utf8');
const config = skaffoldConfig.parse(parse(text, { version: '1.1' }));

/** What skaffold has after it applied every profile. */
const patches = config.profiles.flatMap((profile) => profile.patches);
const all: readonly HelmRelease[] = [
  ...config.deploy.helm.releases,
  ...patches.flatMap((patch) => (patch.path === '/deploy/helm/releases/-' ? [patch.value] : [])),
];
const forwards: readonly PortForward[] = [
  ...config.portForward,
  ...patches.flatMap((patch) => (patch.path === '/portForward/-' ? [patch.value] : [])),
];

const DIGEST = `sha256:${'5'.repeat(64)}`;
/** The variables that skaffold makes of each built image; `/`, `-` and `.` of its name become `_`. A local image has no digest. */
const variables = (pushed: boolean): Record<string, string> =>
  Object.fromEntries(
    config.build.artifacts.flatMap(({ image }) => {
      const [repository, suffix] = [`registry.example.org/${image}`, image.replaceAll(/[/.-]/g, '_')];
      return [
        [`IMAGE_REPO_${suffix}`, repository],
        [`IMAGE_TAG_${suffix}`, 'abc'],
        [`IMAGE_DIGEST_${suffix}`, pushed ? DIGEST : ''],
        [`IMAGE_FULLY_QUALIFIED_${suffix}`, `${repository}:abc${pushed ? `@${DIGEST}` : ''}`],
      ];
    }),
  );
const expand = (template: string, known: Record<string, string>): string =>
  template.replaceAll(/\{\{\.(\w+)\}\}/g, (_all, name: string) => {
    const value = known[name];
    if (value === undefined) throw new Error(`skaffold does not know ${name}`);
    return value;
  });

/** Values of the demo's release of the same kind, without what skaffold sets. */
const demo = releases(testStage());
const VALUES: Readonly<Record<string, object>> = {
  cupel: changed(demo[0]?.values ?? {}, { image: undefined, operator: undefined, watcher: undefined }),
  gateway: changed(demo[1]?.values ?? {}, { image: undefined, gateway: { enabled: undefined }, verifier: { engine: undefined } }),
  edge: changed(demo[2]?.values ?? {}, { image: undefined, edge: { enabled: undefined } }),
};

const render = async (release: HelmRelease, pushed: boolean) => {
  const sets = [
    ...Object.entries(release.setValues),
    ...Object.entries(release.setValueTemplates).map(([key, template]): [string, string] => [key, expand(template, variables(pushed))]),
  ].flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const chart = join(checkoutFolder, release.chartPath);
  return objectsOf(await helm(['template', release.name, chart, '--namespace', release.namespace, ...sets], VALUES[release.name]));
};

describe('skaffold.yaml', () => {
  test('does not take a slip of the pen', () => {
    const typo = (from: string, to: string) => () => skaffoldConfig.parse(parse(text.replace(from, to)));
    expect(typo('chartPath:', 'chartPaths:')).toThrow(/chartPath/);
    expect(typo('setValueTemplates:', 'setValuesTemplate:')).toThrow(/setValuesTemplate/);
    expect(typo('buildCommand:', 'command:')).toThrow(/buildCommand/);
    expect(typo('path: /portForward/-', 'path: /portForwards/-')).toThrow(/path/);
    expect(typo('localPort:', 'local:')).toThrow(/localPort/);
    expect(skaffoldConfig.parse(parse(stringify(config)))).toEqual(config);
  });

  test('builds targets that the Dockerfile has, by a script that is there, and watches files that are there', async () => {
    const dockerfile = await readFile(join(checkoutFolder, 'deploy/local/images/Dockerfile'), 'utf8');
    for (const { image, custom } of config.build.artifacts) {
      const [script = '', target, ...rest] = custom.buildCommand.split(' ');
      await access(join(checkoutFolder, script), 1);
      expect([target, rest]).toEqual([image, []]);
      expect(dockerfile).toMatch(new RegExp(`^FROM scratch AS ${target}$`, 'm'));
      for (const path of custom.dependencies.paths) {
        const first = await glob(path, { cwd: checkoutFolder }).next();
        expect([path, first.done]).toEqual([path, false]);
      }
    }
  });

  test.each(all.filter(({ name }) => name !== 'cupel-crds'))('release $name runs the images that were built', async (release) => {
    for (const pushed of [true, false]) {
      const pods = podsOf(await render(release, pushed));
      const images = new Set(pods.flatMap(({ spec }) => [...spec.initContainers, ...spec.containers].map(({ image }) => image)));
      const of = (name: string) => `registry.example.org/${name}${pushed ? `@${DIGEST}` : ':abc'}`;
      expect([...images].sort()).toEqual(release.name === 'gateway' ? [of('cupel'), of('llm-engine')] : [of('cupel')]);
    }
  });

  test('installs the custom resources first, and one party by one release', async () => {
    expect(all.map(({ name }) => name)).toEqual(['cupel-crds', 'cupel', 'gateway', 'edge']);
    for (const { name, dependsOn } of all) expect(dependsOn).toEqual(name === 'cupel-crds' ? [] : ['cupel-crds']);
    expect(await render(all[0]!, true)).toHaveLength(3);
    expect(new Set(all.slice(1).map(({ namespace }) => namespace)).size).toBe(3);
  });

  test('forwards to ports of Services that are there, each on its own local port', async () => {
    for (const { resourceName, namespace, port } of forwards) {
      const release = all.find((one) => one.namespace === namespace && one.name !== 'cupel-crds');
      const services = release === undefined ? [] : (await render(release, true)).filter(({ kind }) => kind === 'Service');
      const service = services.find(({ metadata }) => metadata.name === resourceName);
      expect(JSON.stringify(service?.['spec']), `${namespace}/${resourceName}`).toContain(`"port":${port},`);
    }
    expect(new Set(forwards.map(({ localPort }) => localPort)).size).toBe(forwards.length);
  });
});
