import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { chartFolder, releases } from '@cupel/local/demo/install';
import type { Release } from '@cupel/local/demo/install';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { changed, helm, objectsOf, podsOf, refusal, renderRelease, testStage } from './charts/render.ts';

const all = releases(testStage());
const valuesOf = (namespace: string): object => all.find((release) => release.namespace === namespace)?.values ?? {};
const [cluster, gateway, edge] = [valuesOf('cupel-system'), valuesOf('gateway'), valuesOf('honest')];
const ADDRESS = `0x${'11'.repeat(20)}`;

describe('values that helm must refuse, by name', () => {
  const wrong: [what: string, base: object, changes: object, words: string[]][] = [
    ['a wrong type', gateway, { gateway: { router: { replicas: 'two' } } }, ['/gateway/router/replicas', 'want integer']],
    ['an unknown key', gateway, { gateway: { routr: {} } }, ['/gateway', "'routr' not allowed"]],
    ['an unknown component', gateway, { gatway: {} }, ["'gatway' not allowed"]],
    ['a bad payee', gateway, { gateway: { payment: { payee: '0x12' } } }, ['/gateway/payment/payee']],
    ['a bad contract address', edge, { market: { contracts: { modelRegistry: 'registry.eth' } } }, ['/market/contracts/modelRegistry']],
    ['an amount as a number', edge, { edge: { payment: { exposureBaseUnits: 5 } } }, ['/edge/payment/exposureBaseUnits', 'want string']],
    [
      'a bad manifest hash',
      gateway,
      { gateway: { models: { m: { manifestSha256: 'x', kind: 'chat' } } } },
      ['/gateway/models/m/manifestSha256'],
    ],
    [
      'an integer model without its root',
      gateway,
      { gateway: { models: { digits: { verificationRoot: undefined } } } },
      ['/gateway/models/digits', "'verificationRoot'"],
    ],
    ['credentials in an RPC URL', edge, { market: { rpc: [{ name: 'a', url: 'https://u:p@rpc' }] } }, ['/market/rpc/0/url']],
    ['an HTTP URL of NATS', edge, { nats: { url: 'http://nats' } }, ['/nats/url']],
    ['a tag as a digest', edge, { image: { digest: 'v1' } }, ['/image/digest']],
    [
      'a Secret’s content instead of its name',
      edge,
      { existingSecrets: { settlement: `0x${'AB'.repeat(32)}` } },
      ['/existingSecrets/settlement'],
    ],
    ['an edge whose name is no Service name', edge, { edge: { name: '1st' } }, ['/edge/name']],
  ];
  test.each(wrong)('%s', async (_what, base, changes, words) => {
    const message = await refusal(changed(base, changes));
    for (const word of words) expect(message).toContain(word);
  });

  const missing: [what: string, base: object, changes: object, value: string, remedy: string][] = [
    [
      'no admin token',
      gateway,
      { existingSecrets: { admin: undefined } },
      'existingSecrets.admin is needed',
      'has no default token; make a Secret',
    ],
    [
      'no admin token at an edge',
      edge,
      { existingSecrets: { admin: '' } },
      'existingSecrets.admin is needed',
      'has no default token; make a Secret',
    ],
    ['no NATS', cluster, { nats: { url: undefined } }, 'nats.url is needed', 'set nats.enabled'],
    ['two NATS servers', cluster, { nats: { enabled: true } }, 'nats.enabled and nats.url', 'set one of the two'],
    ['no payee', gateway, { gateway: { payment: { payee: undefined } } }, 'gateway.payment.payee is needed', 'receives consumers'],
    ['no payout', edge, { edge: { payment: { payee: '' } } }, 'edge.payment.payee is needed', 'payout address'],
    ['no payer key', gateway, { existingSecrets: { payer: '' } }, 'existingSecrets.payer is needed', 'pays providers'],
    ['no receipt key', edge, { existingSecrets: { receipt: '' } }, 'existingSecrets.receipt is needed', 'signs receipts'],
    ['no chain', edge, { market: { chainId: undefined } }, 'market.chainId is needed', 'id of the chain'],
    ['no RPC', edge, { market: { rpc: undefined } }, 'market.rpc is needed', 'at least one RPC endpoint'],
    [
      'no vault',
      edge,
      { market: { contracts: { stakeVault: undefined } } },
      'market.contracts.stakeVault is needed',
      'contracts/script/deploy.ts',
    ],
    ['no watched namespace', cluster, { watchNamespaces: [] }, 'watchNamespaces is needed', 'name the namespaces'],
    ['an engine without a tag', gateway, { verifier: { engine: { image: { tag: '' } } } }, 'verifier.engine.image.tag is needed', 'digest'],
    ['rivals in one release', gateway, { edge: { enabled: true } }, 'gateway.enabled and edge.enabled', 'one release for each'],
    ['a defender at a gateway', gateway, { verifier: { role: 'defender' } }, 'verifier.role', 'set verifier'],
    ['a verifier of nobody', cluster, { verifier: { enabled: true } }, 'verifier.enabled', 'belongs to a gateway'],
    ['an edge that takes another Service’s name', edge, { edge: { name: 'team-payment' } }, 'edge.name', 'choose another'],
    ['messages too long for the bus', edge, { edge: { limits: { answerBytes: 3_000_000 } } }, 'edge.limits', 'lower one of them'],
  ];
  test.each(missing)('%s', async (_what, base, changes, value, remedy) => {
    const message = await refusal(changed(base, changes));
    expect(message).toContain(value);
    expect(message).toContain(remedy);
  });

  test('the values schema is closed wherever Kubernetes’ own types do not begin', async () => {
    const open: string[] = [];
    const walk = (node: unknown, path: string): void => {
      if (typeof node !== 'object' || node === null) return;
      if ('type' in node && node.type === 'object' && !('additionalProperties' in node)) open.push(path.replace(/^\./, ''));
      for (const [key, child] of Object.entries(node)) walk(child, key === 'properties' ? path : `${path}.${key}`);
    };
    walk(JSON.parse(await readFile(join(chartFolder('cupel'), 'values.schema.json'), 'utf8')), '');
    const foreign = /(\.resources\.(requests|limits|claims\.items)|\.to\.items|\.ingressFrom\.items|serviceMonitor\.labels|^global)$/;
    expect(open.length).toBeGreaterThan(10);
    expect(open.filter((path) => !foreign.test(path))).toEqual([]);
  });
});

describe('values that are easily read as something else', () => {
  const render = async (release: Partial<Release>) =>
    objectsOf(await renderRelease({ name: 'team', namespace: 'team', values: edge, ...release }));

  test('names that YAML takes for numbers stay names', async () => {
    const objects = await render({ name: '1e3', namespace: '0123' });
    for (const { metadata } of objects) {
      expect(metadata.namespace).toBe('0123');
      expect(metadata.labels['app.kubernetes.io/instance']).toBe('1e3');
    }
  });

  test('an address of digits stays an address, and a digest wins over a tag', async () => {
    const digest = `sha256:${'1'.repeat(64)}`;
    const objects = await render({ values: changed(edge, { edge: { payment: { payee: ADDRESS } }, image: { digest } }) });
    expect(JSON.stringify(objects)).toContain(`\\"payee\\":\\"${ADDRESS}\\"`);
    for (const { spec } of podsOf(objects)) expect(spec.containers[0]?.image).toBe(`localhost/cupel@${digest}`);
  });

  test('metrics stay inside when the router is open to the world', async () => {
    const objects = await render({ values: changed(edge, { edge: { router: { service: { type: 'LoadBalancer' } } } }) });
    const services = objects.filter(({ kind }) => kind === 'Service').map(({ metadata, spec }) => [metadata.name, JSON.stringify(spec)]);
    const open = services.filter(([, spec]) => spec?.includes('LoadBalancer'));
    expect(open.map(([name]) => name)).toEqual(['edge']);
    expect(open[0]?.[1]).not.toContain('9090');
    expect(services.find(([name]) => name === 'team-router-metrics')?.[1]).toContain('9090');
  });

  test('several router replicas spread over nodes', async () => {
    const spread = async (replicas: number) =>
      podsOf(await render({ values: changed(edge, { edge: { router: { replicas } } }) })).filter(
        (p) => 'topologySpreadConstraints' in p.spec,
      );
    expect((await spread(1)).length).toBe(0);
    expect((await spread(3)).map(({ component }) => component)).toEqual(['router']);
  });

  test('the evaluation NATS server and a ServiceMonitor come when asked for', async () => {
    const values = changed(edge, {
      nats: { url: undefined, enabled: true },
      existingSecrets: { natsConfig: 'nats-config' },
      metrics: { serviceMonitor: { enabled: true, labels: { release: 'prometheus' } } },
    });
    const objects = await render({ values });
    expect(podsOf(objects).map(({ owner }) => owner)).toContain('Deployment team-nats');
    expect(JSON.stringify(objects)).toContain('nats://team-nats.team.svc:4222');
    expect(objects.find(({ kind }) => kind === 'ServiceMonitor')?.metadata.labels['release']).toBe('prometheus');
  });

  test('nothing switched on is only the default deny', async () => {
    expect((await render({ values: {} })).map(({ metadata }) => metadata.name)).toEqual(['team-default-deny']);
  });
});

describe('the README', () => {
  const isLeaf = (key: string, value: unknown): boolean =>
    typeof value !== 'object' ||
    value === null ||
    Array.isArray(value) ||
    Object.keys(value).length === 0 ||
    ['image', 'resources'].includes(key);
  const leaves = (value: object, path: string): [string, string][] =>
    Object.entries(value).flatMap(([key, child]): [string, string][] => {
      if (!isLeaf(key, child)) return leaves(child as object, `${path}${key}.`);
      const text = JSON.stringify(child);
      return [[`${path}${key}`, /^\{./.test(text) && text !== '{}' ? 'object' : text]];
    });
  const expand = (path: string): string[] => {
    const [, before = '', alternatives, after = ''] = /^([^{]*)\{([^}]*)\}(.*)$/.exec(path) ?? [];
    return alternatives === undefined ? [path] : alternatives.split(',').flatMap((one) => expand(`${before}${one}${after}`));
  };

  test('lists every value with its default, once', async () => {
    const values: unknown = parse(await readFile(join(chartFolder('cupel'), 'values.yaml'), 'utf8'));
    const readme = await readFile(join(chartFolder('cupel'), 'README.md'), 'utf8');
    const table = readme.split(/^## Values$/m)[1] ?? '';
    const rows = [...table.matchAll(/^\| `([^`]+)` \| `?([^`|]*?)`? \|/gm)].flatMap(([, path = '', standard = '']) =>
      expand(path).map((one): [string, string] => [one, standard.trim()]),
    );
    if (typeof values !== 'object' || values === null) throw new Error('values.yaml is empty');
    const byPath = (list: [string, string][]) => list.toSorted(([a], [b]) => (a < b ? -1 : 1));
    expect(byPath(rows)).toEqual(byPath(leaves(values, '')));
  });

  test('and the notes name what was installed', async () => {
    const notes = async (base: object) =>
      helm(['install', 'team', chartFolder('cupel'), '--namespace', 'team', '--dry-run=client', '--output', 'json'], base);
    const { info } = JSON.parse(await notes(gateway)) as { info: { notes: string } };
    expect(info.notes).toContain('gateway verifier (verifier) watcher.');
    expect(info.notes).toContain('http://team-router.team.svc:80/v1');
    expect(info.notes).toContain('data-team-payment-0');
  });
});
