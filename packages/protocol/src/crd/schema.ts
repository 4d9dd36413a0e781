import { z } from 'zod';

import { GROUP, VERSION } from './definition.ts';
import type { KindDefinition } from './definition.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { [key: string]: Json };

const isObject = (value: Json | undefined): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * What zod writes and a structural schema must not have: closed objects (the API server prunes), patterns that a CEL rule repeats with a
 * better message, `additionalProperties` beside preserve-unknown-fields.
 */
const structural = (node: Json): Json => {
  if (Array.isArray(node)) return node.map(structural);
  if (!isObject(node)) return node;
  const out: JsonObject = {};
  for (const [key, value] of Object.entries(node)) {
    if (key === 'additionalProperties' && (value === false || node['x-kubernetes-preserve-unknown-fields'] === true)) continue;
    if (key === 'pattern' && 'x-kubernetes-validations' in node) continue;
    if (key === 'propertyNames' || key === '$schema' || key === 'id') continue;
    out[key] = key === 'properties' && isObject(value) ? properties(value) : key === 'default' ? value : structural(value);
  }
  return out;
};

const properties = (value: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, structural(schema)]));

const openApi = (schema: z.ZodType): Json => structural(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' }) as JsonObject);

/** One CustomResourceDefinition as plain data. `keep`: annotated so that helm never deletes it, and with it every object. */
export const customResourceDefinition = (kind: KindDefinition, keep: boolean): Json => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: `${kind.plural}.${GROUP}`,
    ...(keep ? { annotations: { 'helm.sh/resource-policy': 'keep' } } : {}),
    labels: { 'app.kubernetes.io/name': 'cupel', 'app.kubernetes.io/part-of': 'cupel' },
  },
  spec: {
    group: GROUP,
    scope: kind.scope,
    names: {
      kind: kind.kind,
      listKind: `${kind.kind}List`,
      plural: kind.plural,
      singular: kind.singular,
      shortNames: [...kind.shortNames],
      categories: ['cupel'],
    },
    versions: [
      {
        name: VERSION,
        served: true,
        storage: true,
        additionalPrinterColumns: kind.columns.map(({ name, type, jsonPath, description, priority }) => ({
          name,
          type,
          jsonPath,
          description,
          ...(priority === undefined ? {} : { priority }),
        })),
        subresources: { status: {}, ...(kind.scale ? { scale: { ...kind.scale } } : {}) },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            description: kind.description,
            required: ['spec'],
            properties: {
              apiVersion: { type: 'string' },
              kind: { type: 'string' },
              metadata: { type: 'object' },
              spec: openApi(kind.spec),
              status: openApi(kind.status),
            },
            'x-kubernetes-validations': kind.rules.map((rule) => ({ ...rule })),
          },
        },
      },
    ],
  },
});
