import { ApiError } from './api-error.ts';
import type { KubeObject } from './object.ts';
import { apiVersion, type Resource } from './resource.ts';

/**
 * The object as the server sent it, with apiVersion and kind, which items of built-in lists lack.
 * @throws ApiError `Malformed` when it is no object with a name.
 */
export function asObject<T extends KubeObject>(resource: Resource<T>, value: unknown, path: string): T {
  if (!isNamedObject(value))
    throw new ApiError({ status: 0, reason: 'Malformed', message: `${path}: the answer is not a ${resource.kind} with metadata.name` });
  const object =
    value.apiVersion === undefined || value.kind === undefined
      ? { ...value, apiVersion: apiVersion(resource), kind: resource.kind }
      : value;
  // The one place where JSON from the API server gets its type: the server has validated it against the kind's schema.
  return object as T;
}

function isNamedObject(value: unknown): value is KubeObject {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return false;
  const { metadata } = value;
  return typeof metadata === 'object' && metadata !== null && 'name' in metadata && typeof metadata.name === 'string';
}

/** One page of a list. @throws ApiError `Malformed` */
export function asList(value: unknown, path: string): { items: readonly unknown[]; resourceVersion: string; token: string | undefined } {
  const malformed = new ApiError({ status: 0, reason: 'Malformed', message: `${path}: the answer is not a list` });
  if (typeof value !== 'object' || value === null || !('metadata' in value)) throw malformed;
  const { metadata } = value;
  if (typeof metadata !== 'object' || metadata === null || !('resourceVersion' in metadata)) throw malformed;
  if (typeof metadata.resourceVersion !== 'string') throw malformed;
  const token = 'continue' in metadata && typeof metadata.continue === 'string' && metadata.continue !== '' ? metadata.continue : undefined;
  // An empty list of a built-in kind may carry `items: null`.
  const items = 'items' in value && Array.isArray(value.items) ? value.items : [];
  return { items, resourceVersion: metadata.resourceVersion, token };
}
