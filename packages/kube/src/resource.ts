import type { KubeObject, ObjectName } from './object.ts';

declare const objectType: unique symbol;

/** Where the API server keeps one kind. `T` is the TypeScript type of its objects. */
export interface Resource<T extends KubeObject = KubeObject> {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Lower-case plural, as in the path. */
  readonly plural: string;
  readonly namespaced: boolean;
  readonly [objectType]?: T;
}

export type Subresource = 'status' | 'scale';

export function defineResource<T extends KubeObject>(definition: Omit<Resource, typeof objectType>): Resource<T> {
  return definition;
}

/** `v1`, `apps/v1`, … */
export function apiVersion(resource: Resource): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** `pods`, `deployments.apps`, …: for logs and metrics. */
export function resourceLabel(resource: Resource): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
}

/** Path of all objects, or of those in one namespace. */
export function collectionPath(resource: Resource, namespace?: string): string {
  const root = resource.group === '' ? '/api' : `/apis/${resource.group}`;
  const place = resource.namespaced && namespace !== undefined && namespace !== '' ? `/namespaces/${segment(namespace)}` : '';
  return `${root}/${resource.version}${place}/${resource.plural}`;
}

/**
 * Path of one object or of its subresource.
 * @throws when the name lacks the namespace that its kind needs.
 */
export function resourcePath(resource: Resource, name: ObjectName, subresource?: Subresource): string {
  if (resource.namespaced && (name.namespace === undefined || name.namespace === ''))
    throw new Error(`${resource.kind} ${name.name}: metadata.namespace is missing; ${resource.kind} is a namespaced kind`);
  const path = `${collectionPath(resource, name.namespace)}/${segment(name.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

// A name may come from a user's object; it must never climb to another path.
function segment(text: string): string {
  if (text === '' || text === '.' || text === '..') throw new Error(`"${text}" cannot be the name of an object`);
  return encodeURIComponent(text);
}

/** Built-in object whose body is read field by field. */
export interface BuiltIn extends KubeObject {
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

/** core/v1 Secret and ConfigMap; a Secret's data is base64. */
export interface DataObject extends KubeObject {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

const builtIn = (group: string, version: string, kind: string, plural: string, namespaced = true): Resource<BuiltIn> =>
  defineResource<BuiltIn>({ group, version, kind, plural, namespaced });

export const pods = builtIn('', 'v1', 'Pod', 'pods');
export const nodes = builtIn('', 'v1', 'Node', 'nodes', false);
export const namespaces = builtIn('', 'v1', 'Namespace', 'namespaces', false);
export const services = builtIn('', 'v1', 'Service', 'services');
export const serviceAccounts = builtIn('', 'v1', 'ServiceAccount', 'serviceaccounts');
export const persistentVolumeClaims = builtIn('', 'v1', 'PersistentVolumeClaim', 'persistentvolumeclaims');
export const deployments = builtIn('apps', 'v1', 'Deployment', 'deployments');
export const networkPolicies = builtIn('networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies');
export const endpointSlices = builtIn('discovery.k8s.io', 'v1', 'EndpointSlice', 'endpointslices');
export const leases = builtIn('coordination.k8s.io', 'v1', 'Lease', 'leases');
export const events = builtIn('events.k8s.io', 'v1', 'Event', 'events');
export const customResourceDefinitions = builtIn(
  'apiextensions.k8s.io',
  'v1',
  'CustomResourceDefinition',
  'customresourcedefinitions',
  false,
);
export const secrets = defineResource<DataObject>({ group: '', version: 'v1', kind: 'Secret', plural: 'secrets', namespaced: true });
export const configMaps = defineResource<DataObject>({
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
});
