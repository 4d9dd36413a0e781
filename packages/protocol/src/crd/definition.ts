import type { z } from 'zod';

import type { CelRule } from './fields.ts';

/** The group, and the one prefix of labels, annotations and finalizers. */
export const GROUP = 'cupel.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

export const FINALIZER_CHAIN = `${GROUP}/chain`;
export const FINALIZER_KEY_IN_USE = `${GROUP}/key-in-use`;
/** On the operator's own Role and RoleBinding in a namespace, while a ModelProvider there is in use. */
export const FINALIZER_OPERATOR_ACCESS = `${GROUP}/operator-access`;
export const ANNOTATION_ABANDON = `${GROUP}/abandon`;
export const ANNOTATION_APPROVED = `${GROUP}/approved`;
export const LABEL_MODEL_PROVIDER = `${GROUP}/modelprovider`;
export const LABEL_EDGE = `${GROUP}/edge`;

export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  /** 1: only with `-o wide`. */
  readonly priority?: 0 | 1;
}

/** All that the generator needs to write one CustomResourceDefinition. */
export interface KindDefinition {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly scope: 'Namespaced' | 'Cluster';
  readonly description: string;
  readonly spec: z.ZodType;
  readonly status: z.ZodType;
  /** Rules over the whole object: only they can see metadata.name. */
  readonly rules: readonly CelRule[];
  readonly columns: readonly PrinterColumn[];
  readonly scale?: { readonly specReplicasPath: string; readonly statusReplicasPath: string; readonly labelSelectorPath: string };
}

/** Names become prefixes of pods, Services and Leases. */
export const shortName: CelRule = {
  rule: 'size(self.metadata.name) <= 40',
  message: 'metadata.name must have at most 40 characters; choose a shorter name',
};

export const conditionColumn = (name: string, type: string, field: 'status' | 'reason', description: string): PrinterColumn => ({
  name,
  type: 'string',
  jsonPath: `.status.conditions[?(@.type=="${type}")].${field}`,
  description,
});

export const ageColumn: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since the object was made.',
};
