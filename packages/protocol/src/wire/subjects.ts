import type { KvBucket } from './projections.ts';

/** Subjects inside one party. A scope is `gateway.<name>` or `edge.<namespace>.<name>`. */
export type Scope = string;

export const gatewayScope = (name: string): Scope => `gateway.${name}`;
export const edgeScope = (namespace: string, name: string): Scope => `edge.${namespace}.${name}`;

export const PAYMENT_CALLS = [
  'authenticate',
  'lease',
  'release',
  'voucher',
  'charge',
  'outgoing',
  'session',
  'receipt',
  'consent',
  'payload',
] as const;
export type PaymentCall = (typeof PAYMENT_CALLS)[number];

export const paymentSubject = (scope: Scope, call: PaymentCall): string => `cupel.v1.${scope}.payment.${call}`;
export const probeSubject = (scope: Scope): string => `cupel.v1.${scope}.probe`;
export const claimsPostSubject = (scope: Scope): string => `cupel.v1.${scope}.claims.post`;
/** What the operator listens to; the third and fourth token are the edge's namespace and name. */
export const ALL_CLAIMS_POST = 'cupel.v1.edge.*.*.claims.post';
export const receiptsSubject = (scope: Scope): string => `cupel.v1.${scope}.receipts`;
/** Stream names may not contain dots. A Kubernetes name has no "_", so that two scopes never share a stream. */
export const receiptsStream = (scope: Scope): string => `RECEIPTS_${scope.replaceAll('.', '_')}`;
export const enginesKey = (namespace: string, edge: string): string => `${namespace}.${edge}`;
export const kvKey = (id: string): string => id.replace(/^0x/, '');
export const kvSubject = (bucket: KvBucket): string => `$KV.${bucket}.>`;
