import type { Client } from './client.ts';
import { describe } from './client.ts';
import { type KubeObject, nameOf } from './object.ts';
import type { Resource } from './resource.ts';

/** metav1.Condition */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** PascalCase, one word for machines. */
  readonly reason: string;
  /** For people; names the remedy. */
  readonly message: string;
  /** RFC 3339; when `status` last changed. */
  readonly lastTransitionTime: string;
  /** The object's own generation at that reconcile. */
  readonly observedGeneration?: number | undefined;
}

/** API servers refuse a longer message. */
const longestMessage = 32_768;

/**
 * The conditions with this one added or replaced. `lastTransitionTime` becomes `nowIso` only when the status changes; order is kept, so that a
 * reconcile in which nothing changed gives an equal list.
 */
export function setCondition(
  conditions: readonly Condition[] | undefined,
  condition: Omit<Condition, 'lastTransitionTime'>,
  nowIso: string,
): Condition[] {
  const present = findCondition(conditions, condition.type);
  const next: Condition = {
    ...condition,
    message: condition.message.slice(0, longestMessage),
    lastTransitionTime: present !== undefined && present.status === condition.status ? present.lastTransitionTime : nowIso,
  };
  if (present === undefined) return [...(conditions ?? []), next];
  return (conditions ?? []).map((other) => (other.type === condition.type ? next : other));
}

export function removeCondition(conditions: readonly Condition[] | undefined, type: string): Condition[] {
  return (conditions ?? []).filter((condition) => condition.type !== type);
}

export function findCondition(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/**
 * Makes `status`, in whole, the object's status; makes no call when it already says the same. For kinds whose status is ours alone.
 * @returns true when it was written.
 * @throws ApiError; 404 or 422 when the object has gone or another took its name.
 */
export async function writeStatus<T extends KubeObject>(
  client: Client,
  resource: Resource<T>,
  live: T,
  status: object,
  options: { readonly fieldManager?: string; readonly signal?: AbortSignal } = {},
): Promise<boolean> {
  if (sameJson('status' in live ? live.status : undefined, status)) return false;
  const { uid } = live.metadata;
  if (uid === undefined) throw new Error(`${describe(live)} has no metadata.uid; pass the object as read from the cluster`);
  // Server-side apply of a status ignores metadata.uid, so a successor of the same name would get it; a patch can test. There is no lock on the
  // version: the latest reconcile is right, and a finalizer added just before must not make it fail.
  const patch = [
    { op: 'test', path: '/metadata/uid', value: uid },
    { op: 'add', path: '/status', value: status },
  ] as const;
  await client.jsonPatch(resource, nameOf(live), patch, { ...options, subresource: 'status' });
  return true;
}

/** Equal as JSON for a reader: ignores the order of keys and of conditions (lists keyed by `type`), and counts null and absent as equal. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b || (isAbsent(a) && isAbsent(b))) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    if (a.length !== b.length) return false;
    const [x, y] = isTyped(a) && isTyped(b) ? [byType(a), byType(b)] : [a, b];
    return x.every((item, index) => sameJson(item, y[index]));
  }
  if (!isRecord(a) || !isRecord(b)) return false;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => sameJson(a[key], b[key]));
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTyped(list: readonly unknown[]): list is readonly { readonly type: string }[] {
  return list.every((item) => isRecord(item) && typeof item['type'] === 'string');
}

function byType(list: readonly { readonly type: string }[]): readonly { readonly type: string }[] {
  return [...list].sort((a, b) => (a.type < b.type ? -1 : a.type > b.type ? 1 : 0));
}
