import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test } from 'vitest';
import { parse, stringify } from 'yaml';

import { GROUP } from '../src/crd/definition.ts';
import { GPU_NODE_POOL } from '../src/crd/gpu-node-pool.ts';
import { MARKET } from '../src/crd/market.ts';
import { MODEL_PROVIDER, modelProviderSpec } from '../src/crd/model-provider.ts';
import { customResourceDefinition } from '../src/crd/schema.ts';

const ROOT = join(import.meta.dirname, '../../..');
const KINDS = [MODEL_PROVIDER, GPU_NODE_POOL, MARKET];

interface Schema {
  type?: string;
  enum?: unknown[];
  maxLength?: number;
  maxItems?: number;
  maxProperties?: number;
  pattern?: string;
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema;
  description?: string;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-validations'?: { rule: string; message: string }[];
}

const schemaOf = (kind: (typeof KINDS)[number]): Schema => {
  // Through YAML, as the API server will read it.
  const crd = parse(stringify(customResourceDefinition(kind, false))) as { spec: { versions: { schema: { openAPIV3Schema: Schema } }[] } };
  return crd.spec.versions[0]!.schema.openAPIV3Schema;
};

const walk = (schema: Schema, path: string, visit: (schema: Schema, path: string) => void): void => {
  visit(schema, path);
  for (const [name, property] of Object.entries(schema.properties ?? {})) walk(property, `${path}.${name}`, visit);
  if (schema.items) walk(schema.items, `${path}[]`, visit);
  if (schema.additionalProperties) walk(schema.additionalProperties, `${path}{}`, visit);
};

test.each(KINDS.map((kind) => [kind.kind, kind] as const))(
  '%s: every string, list and map is bounded, every rule has a message',
  (_name, kind) => {
    const loose: string[] = [];
    for (const part of ['spec', 'status']) {
      walk(schemaOf(kind).properties![part]!, part, (schema, path) => {
        if (schema.type === 'string' && schema.enum === undefined && schema.maxLength === undefined) loose.push(`${path}: maxLength`);
        if (schema.type === 'array' && schema.maxItems === undefined) loose.push(`${path}: maxItems`);
        if (schema.type === 'array' && schema['x-kubernetes-list-type'] === undefined) loose.push(`${path}: list type`);
        if (schema.additionalProperties && schema.maxProperties === undefined) loose.push(`${path}: maxProperties`);
        // RE2, which the API server uses, knows no lookaround.
        if (schema.pattern !== undefined && /\(\?[=!<]/.test(schema.pattern)) loose.push(`${path}: pattern`);
        for (const { message } of schema['x-kubernetes-validations'] ?? []) if (message.length < 10) loose.push(`${path}: message`);
      });
    }
    expect(loose).toEqual([]);
  },
);

test('crds/ and the chart are what the source says', async () => {
  for (const kind of KINDS) {
    for (const [folder, keep] of [
      ['crds', false],
      ['charts/cupel-crds/templates', true],
    ] as const) {
      const text = await readFile(join(ROOT, folder, `${GROUP}_${kind.plural}.yaml`), 'utf8');
      expect(parse(text)).toEqual(customResourceDefinition(kind, keep));
    }
  }
});

test('only the chart keeps its definitions when it is uninstalled', () => {
  expect(stringify(customResourceDefinition(MARKET, true))).toContain('helm.sh/resource-policy: keep');
  expect(stringify(customResourceDefinition(MARKET, false))).not.toContain('helm.sh');
});

test('the type of the spec comes with its defaults', () => {
  const address = `0x${'00'.repeat(20)}`;
  const spec = modelProviderSpec.parse({
    marketRef: { name: 'local' },
    edgeRef: { name: 'edge' },
    endpoint: { url: 'http://edge' },
    identity: { ownerAddress: address, operatorKeyRef: { name: 'k', key: 'k' }, receiptSignerAddress: address, payoutAddress: address },
    model: { name: 'm', manifest: { sha256: 'ab'.repeat(32) }, source: { pvc: { claimName: 'c' } } },
    engine: { type: 'Integer' },
    pricing: {},
    stake: { amount: '1' },
  });
  expect(spec).toMatchObject({
    replicas: 1,
    approval: 'Automatic',
    deletionPolicy: 'Retire',
    verification: { mode: 'None' },
    pricing: { inputPerMillionTokens: '0', perRequest: '0' },
  });
});
