import { z } from 'zod';

import type { Manifest } from './render.ts';

const rule = z
  .object({
    apiGroups: z.array(z.string()),
    resources: z.array(z.string()),
    verbs: z.array(z.string()),
    resourceNames: z.array(z.string()).optional(),
  })
  .strict();
const withRules = z.looseObject({ rules: z.array(rule) });
export type Rule = z.output<typeof rule>;

export const rulesOf = (role: Manifest): Rule[] => withRules.parse(role).rules;

/** API group of each resource that the operator may touch; a resource that is not here is not one that it needs. */
export const GROUPS: Readonly<Record<string, string>> = {
  modelproviders: 'cupel.dev',
  'modelproviders/status': 'cupel.dev',
  'modelproviders/finalizers': 'cupel.dev',
  gpunodepools: 'cupel.dev',
  markets: 'cupel.dev',
  'gpunodepools/status': 'cupel.dev',
  'markets/status': 'cupel.dev',
  nodes: '',
  pods: '',
  namespaces: '',
  secrets: '',
  services: '',
  serviceaccounts: '',
  deployments: 'apps',
  networkpolicies: 'networking.k8s.io',
  roles: 'rbac.authorization.k8s.io',
  rolebindings: 'rbac.authorization.k8s.io',
  events: 'events.k8s.io',
  leases: 'coordination.k8s.io',
};

/** `<resource>: <verbs, sorted>` of several rules, one line per resource, sorted. */
export const grants = (rules: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[] }[]): string[] => {
  const byResource = new Map<string, Set<string>>();
  for (const { resources, verbs } of rules) {
    for (const resource of resources) {
      const all = byResource.get(resource) ?? new Set();
      for (const verb of verbs) all.add(verb);
      byResource.set(resource, all);
    }
  }
  return [...byResource].map(([resource, verbs]) => `${resource}: ${[...verbs].sort().join(' ')}`).sort();
};

/** The table under "## Rights" of the operator's README, by scope. */
export const tableOfRights = (markdown: string): Record<string, { resources: string[]; verbs: string[] }[]> => {
  const section = markdown.split(/^## Rights$/m)[1]?.split(/^## /m)[0];
  if (section === undefined) throw new Error('services/operator/README.md has no section "Rights"');
  const scopes: Record<string, { resources: string[]; verbs: string[] }[]> = {};
  for (const line of section.split('\n')) {
    const [, resource = '', verbs = '', scope = ''] = line.split('|').map((cell) => cell.trim());
    if (!line.startsWith('| ') || resource === 'resource') continue;
    const resources = resource
      .replaceAll(/\([^)]*\)/g, '')
      .split(',')
      .map((name) => name.trim());
    (scopes[scope] ??= []).push({ resources, verbs: verbs.split(/\s+/) });
  }
  return scopes;
};
