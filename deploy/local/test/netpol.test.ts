import { describe, expect, it } from 'vitest';
import type { ClusterView, NetworkPolicy, Pod } from '../src/netpol/objects.ts';
import { selects } from '../src/netpol/objects.ts';
import { renderTable } from '../src/netpol/render.ts';

const pod = (namespace: string, name: string, podIP: string, labels: Record<string, string> = {}, port = 8080): Pod => ({
  metadata: { name, namespace, labels },
  spec: { containers: [{ ports: [{ name: 'http', containerPort: port }] }] },
  status: { phase: 'Running', podIP },
});
const policy = (namespace: string, spec: NetworkPolicy['spec']): NetworkPolicy => ({ metadata: { name: 'p', namespace }, spec });
const view = (policies: NetworkPolicy[], pods: Pod[]): ClusterView => ({
  namespaces: [{ metadata: { name: 'a', labels: { team: 'one' } } }, { metadata: { name: 'b', labels: { team: 'two' } } }],
  pods,
  policies,
});
const chain = (table: string, name: string): string[] => {
  const [, body] = new RegExp(`chain ${name} \\{\\n([^}]*(?:\\{[^}]*\\}[^}]*)*)\\n  \\}`).exec(table) ?? [];
  return (body ?? '').split('\n').map((line) => line.trim());
};

const web = pod('a', 'web', '10.244.0.2', { app: 'web' });
const llm = pod('a', 'llm', '10.244.0.3', { app: 'llm' }, 8000);
const far = pod('b', 'far', '10.244.0.4', { app: 'web' }, 9000);

describe('renderTable', () => {
  it('leaves a cluster without policies alone', () => {
    const table = renderTable(view([], [web, llm]));
    expect(table).not.toContain('drop');
    expect(table).not.toContain('jump');
  });

  it('denies everything to the pods that an empty selector takes, in their namespace only', () => {
    const table = renderTable(view([policy('a', { podSelector: {}, policyTypes: ['Ingress'] })], [web, llm, far]));
    expect(chain(table, 'ingress-10-244-0-2')).toEqual(['counter drop']);
    expect(chain(table, 'ingress-10-244-0-3')).toEqual(['counter drop']);
    expect(table).not.toContain('10.244.0.4');
    expect(table).not.toContain('egress-');
  });

  it('lets the selected peers through, on the number behind the port name', () => {
    const allow = policy('a', {
      podSelector: { matchLabels: { app: 'llm' } },
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ port: 'http' }] }],
    });
    const table = renderTable(view([allow], [web, llm, far]));
    expect(chain(table, 'ingress-10-244-0-3')).toEqual(['ip saddr { 10.244.0.2 } tcp dport 8000 return', 'counter drop']);
  });

  it('joins namespace and pod selectors in one peer with "and"', () => {
    const allow = policy('a', {
      podSelector: { matchLabels: { app: 'llm' } },
      ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'two' } }, podSelector: { matchLabels: { app: 'web' } } }] }],
    });
    expect(chain(renderTable(view([allow], [web, llm, far])), 'ingress-10-244-0-3')).toEqual([
      'ip saddr { 10.244.0.4 } return',
      'counter drop',
    ]);
  });

  it('reads a named port of an egress rule at each peer', () => {
    const allow = policy('a', {
      podSelector: { matchLabels: { app: 'web' } },
      policyTypes: ['Egress'],
      egress: [{ to: [{ namespaceSelector: {} }], ports: [{ port: 'http' }, { port: 53, protocol: 'UDP' }] }],
    });
    const table = renderTable(view([allow], [web, llm, far]));
    expect(chain(table, 'egress-10-244-0-2')).toEqual([
      'ip daddr { 10.244.0.2, 10.244.0.3, 10.244.0.4 } udp dport 53 return',
      'ip daddr 10.244.0.2 tcp dport 8080 return',
      'ip daddr 10.244.0.3 tcp dport 8000 return',
      'ip daddr 10.244.0.4 tcp dport 9000 return',
      'counter drop',
    ]);
    // Also on the way to the node itself, where the API server listens.
    expect(chain(table, 'input')).toContain('ip saddr 10.244.0.2 jump egress-10-244-0-2');
  });

  it('renders address blocks with exceptions and port ranges', () => {
    const allow = policy('a', {
      podSelector: { matchLabels: { app: 'web' } },
      policyTypes: ['Egress'],
      egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.244.0.0/16'] } }], ports: [{ port: 1000, endPort: 2000 }] }],
    });
    expect(chain(renderTable(view([allow], [web])), 'egress-10-244-0-2')).toEqual([
      'ip daddr 10.0.0.0/8 ip daddr != { 10.244.0.0/16 } tcp dport 1000-2000 return',
      'counter drop',
    ]);
  });

  it('takes an empty rule as "everybody" and a rule without matching peers as "nobody"', () => {
    const all = policy('a', { podSelector: {}, ingress: [{}] });
    expect(chain(renderTable(view([all], [web])), 'ingress-10-244-0-2')).toEqual(['return', 'counter drop']);
    const none = policy('a', { podSelector: {}, ingress: [{ from: [{ podSelector: { matchLabels: { app: 'x' } } }] }] });
    expect(chain(renderTable(view([none], [web])), 'ingress-10-244-0-2')).toEqual(['counter drop']);
  });

  it('forgets pods that have ended: their address may be given to another', () => {
    const ended: Pod = { ...web, status: { phase: 'Succeeded', podIP: '10.244.0.2' } };
    expect(renderTable(view([policy('a', { podSelector: {} })], [ended]))).not.toContain('10.244.0.2');
  });

  it('takes nobody by an IPv6 block, and lets no other text into the rules', () => {
    const odd = ['::/0', '0.0.0.0/0 accept; #'].map((cidr) => ({ from: [{ ipBlock: { cidr } }] }));
    const table = renderTable(view([policy('a', { podSelector: {}, ingress: odd })], [web]));
    expect(chain(table, 'ingress-10-244-0-2')).toEqual(['counter drop']);
  });
});

describe('selects', () => {
  it('knows the four operators', () => {
    const expression = (operator: string, values?: string[]) => ({
      matchExpressions: [{ key: 'k', operator, ...(values === undefined ? {} : { values }) }],
    });
    expect(selects(expression('In', ['v']), { k: 'v' })).toBe(true);
    expect(selects(expression('In', ['v']), {})).toBe(false);
    expect(selects(expression('NotIn', ['v']), {})).toBe(true);
    expect(selects(expression('NotIn', ['v']), { k: 'v' })).toBe(false);
    expect(selects(expression('Exists'), { k: '' })).toBe(true);
    expect(selects(expression('DoesNotExist'), { k: '' })).toBe(false);
    expect(selects(expression('Near'), { k: '' })).toBe(false);
  });
});
