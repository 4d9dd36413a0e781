import { describe, expect, it } from 'vitest';
import { differences } from '../src/differences.ts';

describe('differences', () => {
  it('sees none where others only added: defaults, labels, injected containers and variables', () => {
    const desired = {
      metadata: { name: 'a', labels: { app: 'x' } },
      spec: {
        template: {
          spec: { containers: [{ name: 'main', image: 'i:1', ports: [{ containerPort: 80 }], env: [{ name: 'A', value: '1' }] }] },
        },
      },
    };
    const live = {
      metadata: { name: 'a', uid: 'u', labels: { app: 'x', foreign: 'y' } },
      spec: {
        replicas: 1,
        template: {
          spec: {
            dnsPolicy: 'ClusterFirst',
            containers: [
              { name: 'sidecar', image: 's:1' },
              {
                name: 'main',
                image: 'i:1',
                imagePullPolicy: 'IfNotPresent',
                ports: [{ containerPort: 80, protocol: 'TCP' }],
                env: [
                  { name: 'B', value: '2' },
                  { name: 'A', value: '1' },
                ],
              },
            ],
          },
        },
      },
      status: {},
    };
    expect(differences(desired, live)).toEqual([]);
  });

  it.each([
    ['a changed value', { spec: { replicas: 2 } }, { spec: { replicas: 3 } }, ['spec.replicas']],
    ['a missing field', { spec: { a: { b: 'x' } } }, { spec: {} }, ['spec.a']],
    ['a missing container', { containers: [{ name: 'a' }] }, { containers: [{ name: 'b' }] }, ['containers[a]']],
    ['a longer atomic list', { args: ['x'] }, { args: ['x', 'y'] }, ['args']],
    ['an atomic list in another order', { args: ['x', 'y'] }, { args: ['y', 'x'] }, ['args[0]', 'args[1]']],
    ['a widened selector', { spec: { selector: { app: 'x' } } }, { spec: { selector: { app: 'x', more: 'y' } } }, ['spec.selector.more']],
    ['an emptied selector', { podSelector: {} }, { podSelector: { matchLabels: { a: 'b' } } }, ['podSelector.matchLabels']],
    ['a false that became true', { hostNetwork: false }, { hostNetwork: true }, ['hostNetwork']],
    ['another quantity', { limits: { cpu: '1' } }, { limits: { cpu: '1001m' } }, ['limits.cpu']],
  ])('sees %s', (_, desired, live, paths) => {
    expect(differences(desired, live)).toEqual(paths);
  });

  it('sees every door opened in a NetworkPolicy, and not the default protocol', () => {
    const peer = { podSelector: { matchLabels: { app: 'router' } } };
    const desired = {
      spec: { podSelector: { matchLabels: { app: 'e' } }, ingress: [{ from: [peer], ports: [{ port: 8000 }] }], egress: [] },
    };
    const same = { spec: { ...desired.spec, ingress: [{ from: [peer], ports: [{ port: 8000, protocol: 'TCP' }] }], egress: undefined } };
    expect(differences(desired, same)).toEqual([]);
    const wider = [
      { ingress: [{ from: [peer], ports: [{ port: 8000 }, { port: 22 }] }] },
      { ingress: [{ from: [peer, {}], ports: [{ port: 8000 }] }] },
      { ingress: [{ from: [{ ...peer, namespaceSelector: { matchLabels: { a: 'b' } } }], ports: [{ port: 8000 }] }] },
      { egress: [{}] },
    ];
    for (const more of wider) expect(differences(desired, { spec: { ...desired.spec, ...more } })).not.toEqual([]);
  });

  it('counts what Go leaves out as equal to empty', () => {
    const desired = { a: false, b: 0, c: '', d: [], e: {}, f: null, g: { h: [] } };
    expect(differences(desired, { g: {} })).toEqual([]);
    expect(differences({ emptyDir: {} }, { emptyDir: {} })).toEqual([]);
  });

  it.each([
    ['1000m', '1'],
    ['1024Mi', '1Gi'],
    ['0.5', '500m'],
    ['1e3', '1k'],
    [2, '2'],
  ])('takes quantity %s for %s, in resources only', (a, b) => {
    expect(differences({ resources: { requests: { x: a } } }, { resources: { requests: { x: b } } })).toEqual([]);
    expect(differences({ value: a }, { value: b })).toEqual(['value']);
  });

  it('tells service ports apart by port and protocol', () => {
    const desired = { spec: { ports: [{ port: 53, protocol: 'UDP' }] } };
    expect(differences(desired, { spec: { ports: [{ port: 53, protocol: 'TCP' }] } })).toEqual(['spec.ports[53/UDP]']);
  });
});
