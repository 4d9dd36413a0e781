/** Identity of an object within its kind. Without a namespace it is cluster-scoped. */
export interface ObjectName {
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** metav1.OwnerReference */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean | undefined;
  readonly blockOwnerDeletion?: boolean | undefined;
}

/** metav1.ObjectMeta as JSON; times are RFC 3339 strings. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  /** Rises with every change of the spec. */
  readonly generation?: number | undefined;
  readonly creationTimestamp?: string | undefined;
  readonly deletionTimestamp?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly finalizers?: readonly string[] | undefined;
  readonly ownerReferences?: readonly OwnerReference[] | undefined;
}

/** What every object has. Typed kinds extend it with spec and status; unknown fields stay in the JSON. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

export function nameOf(object: KubeObject): ObjectName {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? { name } : { namespace, name };
}

/** `namespace/name`, or `name` when cluster-scoped. */
export function formatName(name: ObjectName): string {
  return name.namespace === undefined || name.namespace === '' ? name.name : `${name.namespace}/${name.name}`;
}

/** Inverse of `formatName`; object names hold no slash. */
export function parseName(text: string): ObjectName {
  const slash = text.indexOf('/');
  return slash < 0 ? { name: text } : { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}

/**
 * Reference by which a child names its owner for garbage collection.
 * @throws when the owner has no uid, that is when it was never read from the cluster.
 */
export function ownerReference(
  owner: KubeObject,
  options: { readonly controller?: boolean; readonly blockOwnerDeletion?: boolean } = {},
): OwnerReference {
  const { name, uid } = owner.metadata;
  if (uid === undefined) throw new Error(`owner ${owner.kind} ${name} has no metadata.uid; pass the object as read from the cluster`);
  const { controller = true, blockOwnerDeletion = true } = options;
  return { apiVersion: owner.apiVersion, kind: owner.kind, name, uid, controller, blockOwnerDeletion };
}

/** Name of the controlling owner if it is of that kind, as a list for `informer.names`; owners live in the child's namespace. */
export function controllerName(object: KubeObject, kind: string): ObjectName[] {
  const { namespace, ownerReferences = [] } = object.metadata;
  const owner = ownerReferences.find((reference) => reference.controller === true && reference.kind === kind);
  if (owner === undefined) return [];
  return [namespace === undefined ? { name: owner.name } : { namespace, name: owner.name }];
}
