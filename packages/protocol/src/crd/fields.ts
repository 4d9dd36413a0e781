import { z } from 'zod';

/**
 * Building blocks of the custom resources. A zod schema is at once the TypeScript type, what the operator parses with and, by
 * scripts/crds.ts, the OpenAPI schema in crds/*.yaml. `.meta()` carries what only Kubernetes knows: descriptions, CEL rules, list types.
 */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

export const cel = (...rules: readonly CelRule[]) => ({ 'x-kubernetes-validations': rules });

/** A bounded string. The pattern becomes a CEL rule, so that the API server answers with `message` and not with a regular expression. */
export const text = (maxLength: number, pattern: RegExp, message: string, description: string) =>
  z
    .string()
    .min(1)
    .max(maxLength)
    .regex(pattern, message)
    .meta({ description, ...cel({ rule: `self.matches(r'${pattern.source}')`, message }) });

/** A bounded string with a plain pattern: for lists, where a CEL rule per element would cost too much. */
export const word = (maxLength: number, pattern: RegExp, description: string) =>
  z.string().min(1).max(maxLength).regex(pattern).meta({ description });

/** A bounded string without a form. */
export const free = (maxLength: number, description: string) => z.string().max(maxLength).meta({ description });

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

export const objectName = (description: string) =>
  text(63, DNS_LABEL, 'must be an object name: lower-case letters, digits and "-", at most 63 characters', description);

export const reference = (description: string) => z.object({ name: objectName('Name of the object.') }).meta({ description });

export const secretKey = word(253, /^[-._a-zA-Z0-9]+$/, 'Key within the Secret.');

/** A reference to a key of a Secret in the object's own namespace. */
export const secretKeyReference = (description: string) =>
  z.object({ name: objectName('Name of the Secret, in this namespace.'), key: secretKey }).meta({ description });

export const chainAddress = (description: string) =>
  text(42, /^0x[0-9a-fA-F]{40}$/, 'must be an address: 0x and 40 hex digits', description);

export const sha256Hex = (description: string) => text(64, /^[0-9a-f]{64}$/, 'must be a sha256: 64 lower-case hex digits', description);

export const cidText = (description: string) =>
  text(130, /^b[a-z2-7]{10,128}$/, 'must be a CIDv1 in base32: it starts with "b"', description);

export const decimalText = (places: number, description: string) =>
  text(
    40,
    new RegExp(`^[0-9]{1,15}([.][0-9]{1,${places}})?$`),
    `must be a decimal number in a string, such as "0.25", with at most ${places} places`,
    description,
  );

export const httpUrlText = (description: string) =>
  text(
    2048,
    /^https?:\/\/[A-Za-z0-9.:[\]-]+(\/[^\s?#@]*)?$/,
    'must be an http(s) URL without user, password, query or fragment',
    description,
  );

const labelKey = word(317, /^([a-z0-9.-]+\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/, 'Label key.');
const labelValue = z.string().max(63);

/** metav1.LabelSelector, bounded. An empty one selects everything. */
export const labelSelector = (description: string) =>
  z
    .object({
      matchLabels: z.record(z.string(), labelValue).meta({ description: 'Labels that must be equal.', maxProperties: 32 }).optional(),
      matchExpressions: z
        .array(
          z.object({
            key: labelKey,
            operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']).meta({ description: 'How values are compared.' }),
            values: z
              .array(labelValue)
              .max(64)
              .meta({ description: 'Values; empty for Exists and DoesNotExist.', 'x-kubernetes-list-type': 'atomic' })
              .optional(),
          }),
        )
        .max(32)
        .meta({ description: 'Requirements that must all hold.', 'x-kubernetes-list-type': 'atomic' })
        .optional(),
    })
    .meta({ description, 'x-kubernetes-map-type': 'atomic' });

/** Which namespaces may use a cluster-wide object. */
export const allowedNamespaces = z
  .object({
    from: z.enum(['All', 'Selector', 'None']).meta({ description: 'All, None, or those that `selector` matches.' }).default('All'),
    selector: labelSelector('Labels of the namespaces; only with from: Selector.').optional(),
  })
  .meta({
    description: 'Namespaces whose ModelProviders may refer to this object. The operator enforces it.',
    ...cel({
      rule: "(self.from == 'Selector') == has(self.selector)",
      message: 'allowedNamespaces.selector goes with from: Selector, and only with it; set both or neither',
    }),
  });

const timestamp = (description: string) => z.string().max(64).meta({ description, format: 'date-time' });

/** metav1.Condition. */
export const condition = z.object({
  type: word(316, /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/, 'Type of the condition, in CamelCase.'),
  status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Whether it holds.' }),
  observedGeneration: z.number().int().min(0).meta({ description: 'Generation that the condition is about.', format: 'int64' }).optional(),
  lastTransitionTime: timestamp('When the status last changed.'),
  reason: word(1024, /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/, 'Why, in one CamelCase word.'),
  message: free(32_768, 'Why, for people, with the remedy.'),
});

export const conditions = z
  .array(condition)
  .max(32)
  .meta({
    description: 'Observations; Reconciling, Stalled and Slashed are present only while true.',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  });

export const observedGeneration = z
  .number()
  .int()
  .min(0)
  .meta({ description: 'Generation of the spec that this status is about.', format: 'int64' });

export const count = (description: string, max = 100_000) => z.number().int().min(0).max(max).meta({ description, format: 'int32' });

/** For a field that never changes once it is set. */
export const immutable = (field: string, remedy: string): CelRule => ({
  rule: 'self == oldSelf',
  message: `${field} is immutable; ${remedy}`,
});

export type Condition = z.output<typeof condition>;
export type LabelSelector = z.output<ReturnType<typeof labelSelector>>;
export type AllowedNamespaces = z.output<typeof allowedNamespaces>;
