import type { Refusal } from '@cupel/protocol/reasons';

export const isRefusal = (value: unknown): value is Refusal =>
  typeof value === 'object' && value !== null && 'reason' in value && 'message' in value;

/** Headers that carry a refusal's numbers: what a voucher must reach and what is missing, in base units; when to come back, in seconds. */
export const refusalHeaders = (refusal: Refusal): Record<string, string> => {
  const headers: Record<string, string> = {};
  if (refusal.required !== undefined) headers['x-cupel-required'] = refusal.required.toString();
  if (refusal.missing !== undefined) headers['x-cupel-missing'] = refusal.missing.toString();
  if (refusal.reason === 'too_many_requests') headers['retry-after'] = '1';
  if (refusal.reason === 'draining' || refusal.reason === 'no_provider' || refusal.reason === 'ledger_unavailable')
    headers['retry-after'] = '2';
  return headers;
};
