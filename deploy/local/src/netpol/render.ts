import { type ClusterView, type NetworkPolicy, type Pod, type PolicyPeer, type PolicyPort, selects } from './objects.ts';

/*
 * NetworkPolicy (networking.k8s.io/v1) as one nftables table. Addresses are those after Service translation: kube-proxy rewrites them
 * in prerouting, before `forward` (pod to pod) and `input` (pod to node, which is how a pod reaches the API server) are passed.
 * What the node itself sends is not filtered: it must reach every pod for probes, as everywhere.
 */

type Direction = 'ingress' | 'egress';
type LivePod = Pod & { readonly status: { readonly podIP: string } };

/** The complete table, to be fed to `nft -f -`: it replaces the former one in one transaction. */
export function renderTable(view: ClusterView): string {
  const pods = view.pods.filter(isLive).sort((a, b) => (a.status.podIP < b.status.podIP ? -1 : 1));
  const chains: string[] = [];
  const jumps: Record<Direction, string[]> = { egress: [], ingress: [] };
  for (const direction of ['egress', 'ingress'] as const) {
    for (const pod of pods) {
      const policies = view.policies.filter((policy) => isolates(policy, pod, direction));
      if (policies.length === 0) continue;
      const chain = `${direction}-${pod.status.podIP.replaceAll('.', '-')}`;
      const rules = policies.flatMap((policy) => allowances(policy, pod, direction, view, pods));
      chains.push(`  chain ${chain} {\n${[...new Set(rules), 'counter drop'].map((rule) => `    ${rule}\n`).join('')}  }\n`);
      jumps[direction].push(`ip ${direction === 'egress' ? 'saddr' : 'daddr'} ${pod.status.podIP} jump ${chain}`);
    }
  }
  const base = (name: string, rules: readonly string[]): string =>
    [
      `  chain ${name} {`,
      `    type filter hook ${name} priority -5; policy accept;`,
      '    ct state established,related accept',
      ...rules.map((rule) => `    ${rule}`),
      '  }\n',
    ].join('\n');
  return [
    'table inet network-policy',
    'delete table inet network-policy',
    'table inet network-policy {',
    chains.join('') + base('forward', [...jumps.egress, ...jumps.ingress]) + base('input', jumps.egress) + '}\n',
  ].join('\n');
}

function isLive(pod: Pod): pod is LivePod {
  const phase = pod.status?.phase ?? 'Pending';
  const address = pod.status?.podIP;
  return address !== undefined && /^[\d.]+$/.test(address) && pod.spec.hostNetwork !== true && (phase === 'Pending' || phase === 'Running');
}

function isolates(policy: NetworkPolicy, pod: Pod, direction: Direction): boolean {
  if (policy.metadata.namespace !== pod.metadata.namespace) return false;
  if (!selects(policy.spec.podSelector ?? {}, pod.metadata.labels ?? {})) return false;
  const types = policy.spec.policyTypes ?? (policy.spec.egress === undefined ? ['Ingress'] : ['Ingress', 'Egress']);
  return types.includes(direction === 'ingress' ? 'Ingress' : 'Egress');
}

/** One `… return` per allowed combination of peer and port; returning leaves the pod's chain and lets the packet go on. */
function allowances(policy: NetworkPolicy, pod: LivePod, direction: Direction, view: ClusterView, pods: readonly LivePod[]): string[] {
  const rules =
    direction === 'ingress'
      ? (policy.spec.ingress ?? []).map(({ from, ports }) => ({ peers: from, ports }))
      : (policy.spec.egress ?? []).map(({ to, ports }) => ({ peers: to, ports }));
  const far = direction === 'ingress' ? 'ip saddr' : 'ip daddr';
  const lines: string[] = [];
  for (const { peers, ports } of rules) {
    // An absent or empty list of peers means everybody.
    const groups = peers === undefined || peers.length === 0 ? [undefined] : peers;
    for (const peer of groups) {
      if (peer?.ipBlock !== undefined) {
        // Pods have IPv4 addresses only, so an IPv6 block takes nobody.
        if (!isRange(peer.ipBlock.cidr)) continue;
        const except = (peer.ipBlock.except ?? []).filter(isRange);
        const block = `${far} ${peer.ipBlock.cidr} ${except.length > 0 ? `${far} != { ${except.join(', ')} } ` : ''}`;
        lines.push(...portMatches(ports, pod, direction, []).map((port) => `${block}${port}return`));
        continue;
      }
      const members = peer === undefined ? undefined : pods.filter((other) => isPeer(peer, policy, other, view));
      if (members !== undefined && members.length === 0) continue;
      lines.push(...selectedMatches(ports, pod, direction, far, members ?? pods, members === undefined));
    }
  }
  return lines;
}

/**
 * Rules for peers that are pods. A named port of an egress rule means what the peer calls by that name, so its number may differ from
 * peer to peer; everything else can share one rule.
 */
function selectedMatches(
  ports: readonly PolicyPort[] | undefined,
  pod: LivePod,
  direction: Direction,
  far: string,
  members: readonly LivePod[],
  everybody: boolean,
): string[] {
  const lines: string[] = [];
  const plain = (ports ?? []).filter(({ port }) => direction === 'ingress' || typeof port !== 'string');
  const named = (ports ?? []).filter((port) => !plain.includes(port));
  const addresses = everybody ? '' : `${far} { ${members.map(({ status }) => status.podIP).join(', ')} } `;
  if (ports === undefined || ports.length === 0) return [`${addresses}return`];
  if (plain.length > 0) lines.push(...portMatches(plain, pod, direction, []).map((port) => `${addresses}${port}return`));
  for (const member of named.length > 0 ? members : [])
    lines.push(...portMatches(named, pod, direction, [member]).map((port) => `${far} ${member.status.podIP} ${port}return`));
  return lines;
}

function isPeer(peer: PolicyPeer, policy: NetworkPolicy, pod: Pod, view: ClusterView): boolean {
  if (peer.podSelector === undefined && peer.namespaceSelector === undefined) return false;
  const home = pod.metadata.namespace;
  if (peer.namespaceSelector === undefined) {
    if (home !== policy.metadata.namespace) return false;
  } else {
    const namespace = view.namespaces.find(({ metadata }) => metadata.name === home);
    if (namespace === undefined || !selects(peer.namespaceSelector, namespace.metadata.labels ?? {})) return false;
  }
  return selects(peer.podSelector ?? {}, pod.metadata.labels ?? {});
}

/** Matches for the ports, each with a trailing space; one empty match when ports do not matter; none when a name is unknown. */
function portMatches(ports: readonly PolicyPort[] | undefined, pod: LivePod, direction: Direction, owners: readonly LivePod[]): string[] {
  if (ports === undefined || ports.length === 0) return [''];
  return ports.flatMap(({ port, endPort, protocol = 'TCP' }) => {
    const transport = protocol.toLowerCase();
    if (!['tcp', 'udp', 'sctp'].includes(transport)) return [];
    if (port === undefined) return [`meta l4proto ${transport} `];
    if (typeof port === 'number') return [`${transport} dport ${port}${endPort === undefined ? '' : `-${endPort}`} `];
    return (direction === 'ingress' ? [pod] : owners).flatMap((owner) => {
      const all = [...owner.spec.containers, ...(owner.spec.initContainers ?? [])].flatMap(({ ports: list }) => list ?? []);
      const match = all.find((candidate) => candidate.name === port && (candidate.protocol ?? 'TCP') === protocol);
      return match === undefined ? [] : [`${transport} dport ${match.containerPort} `];
    });
  });
}

/** Also keeps anything but an address range out of the rule text. */
function isRange(text: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/.test(text);
}
