/**
 * The allow-list of spec.podTemplate. Whoever may create a ModelProvider may create a pod in the namespace; the list keeps him from undoing what
 * the operator vouches for: the verified files, the restricted security context and the labels that NetworkPolicies trust.
 */
export interface PodAdditions {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** nodeSelector, affinity, tolerations, topologySpreadConstraints, priorityClassName, runtimeClassName, as given. */
  readonly podSpec: Readonly<Record<string, unknown>>;
  readonly volumes: readonly Fields[];
  readonly resources: Fields | undefined;
  readonly env: readonly Fields[];
  readonly volumeMounts: readonly Fields[];
}

export type Fields = Readonly<Record<string, unknown>>;

export type PodTemplateResult = { readonly ok: true; readonly additions: PodAdditions } | { readonly ok: false; readonly message: string };

const POD_FIELDS = ['nodeSelector', 'affinity', 'tolerations', 'topologySpreadConstraints', 'priorityClassName', 'runtimeClassName'];
const VOLUME_KINDS = ['emptyDir', 'persistentVolumeClaim', 'secret', 'configMap'];
const CONTAINER_FIELDS = ['name', 'resources', 'env', 'volumeMounts'];
const METADATA_FIELDS = ['labels', 'annotations'];
const OUR_PREFIXES = [
  'cupel.dev/',
  'app.kubernetes.io/',
  'container.apparmor.security.beta.kubernetes.io/',
  'container.seccomp.security.alpha.kubernetes.io/',
];
const OUR_ENV = /^(PORT|MODEL|MODEL_DIR|CUPEL_.*)$/;
const OUR_PATHS = ['/models', '/run/cupel'];
const VOLUME_PREFIX = 'cupel-';

class Forbidden extends Error {}

const forbid = (path: string, remedy: string): never => {
  throw new Forbidden(`spec.podTemplate${path} is not allowed; ${remedy}`);
};

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

const fieldsAt = (value: unknown, path: string): Fields =>
  value === undefined ? {} : isFields(value) ? value : forbid(path, 'it must be an object');

const listAt = (value: unknown, path: string): readonly Fields[] => {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return forbid(path, 'it must be a list');
  return value.map((item: unknown, i) => (isFields(item) ? item : forbid(`${path}[${i}]`, 'it must be an object')));
};

const only = (fields: Fields, allowed: readonly string[], path: string): void => {
  for (const key of Object.keys(fields)) {
    if (!allowed.includes(key)) forbid(`${path}.${key}`, `remove it; allowed are ${allowed.map((name) => `${path}.${name}`).join(', ')}`);
  }
};

const textMap = (value: unknown, path: string): Record<string, string> => {
  const out: Record<string, string> = {};
  for (const [key, text] of Object.entries(fieldsAt(value, path))) {
    if (OUR_PREFIXES.some((prefix) => key.startsWith(prefix)))
      forbid(`${path}["${key}"]`, `keys under ${OUR_PREFIXES.join(', ')} are the operator's`);
    if (typeof text !== 'string') forbid(`${path}["${key}"]`, 'its value must be a string');
    else out[key] = text;
  }
  return out;
};

const volumesOf = (value: unknown): readonly Fields[] => {
  const volumes = listAt(value, '.spec.volumes');
  for (const [i, volume] of volumes.entries()) {
    const path = `.spec.volumes[${i}]`;
    const { name, ...kinds } = volume;
    if (typeof name !== 'string' || name.startsWith(VOLUME_PREFIX))
      forbid(`${path}.name`, `it must be a string that does not start with ${VOLUME_PREFIX}`);
    for (const kind of Object.keys(kinds)) {
      if (!VOLUME_KINDS.includes(kind)) forbid(`${path}.${kind}`, `use a volume of kind ${VOLUME_KINDS.join(', ')}`);
    }
  }
  return volumes;
};

const envOf = (value: unknown, path: string): readonly Fields[] => {
  const env = listAt(value, path);
  for (const [i, entry] of env.entries()) {
    if (typeof entry['name'] !== 'string') forbid(`${path}[${i}].name`, 'it must be a string');
    else if (OUR_ENV.test(entry['name'])) forbid(`${path}[${i}]`, `${entry['name']} is set by the operator; choose another name`);
  }
  return env;
};

const mountsOf = (value: unknown, volumes: readonly Fields[], path: string): readonly Fields[] => {
  const mounts = listAt(value, path);
  for (const [i, mount] of mounts.entries()) {
    const { name, mountPath } = mount;
    if (!volumes.some((volume) => volume['name'] === name)) forbid(`${path}[${i}].name`, 'name a volume of spec.podTemplate.spec.volumes');
    const clean = typeof mountPath === 'string' ? mountPath.split('/').filter((part) => part !== '' && part !== '.') : [];
    const inside = (ours: string): boolean => {
      const parts = ours.split('/').filter((part) => part !== '');
      return clean.slice(0, parts.length).join('/') === parts.join('/') || parts.slice(0, clean.length).join('/') === clean.join('/');
    };
    if (clean.length === 0 || clean.includes('..') || OUR_PATHS.some(inside)) {
      forbid(`${path}[${i}].mountPath`, `mount it elsewhere than at ${OUR_PATHS.join(', ')} or above them`);
    }
  }
  return mounts;
};

const resourcesOf = (value: unknown, path: string): Fields | undefined => {
  if (value === undefined) return undefined;
  const resources = fieldsAt(value, path);
  only(resources, ['requests', 'limits'], path);
  for (const list of ['requests', 'limits']) {
    for (const name of Object.keys(fieldsAt(resources[list], `${path}.${list}`))) {
      if (name.includes('/')) forbid(`${path}.${list}["${name}"]`, 'ask for accelerators with spec.poolRef and spec.accelerator.count');
    }
  }
  return resources;
};

/** Reads spec.podTemplate. A refusal names the field that is not allowed and says what is. */
export const readPodTemplate = (template: Fields | undefined): PodTemplateResult => {
  try {
    const root = template ?? {};
    only(root, ['metadata', 'spec'], '');
    const metadata = fieldsAt(root['metadata'], '.metadata');
    only(metadata, METADATA_FIELDS, '.metadata');
    const spec = fieldsAt(root['spec'], '.spec');
    only(spec, [...POD_FIELDS, 'volumes', 'containers'], '.spec');
    const containers = listAt(spec['containers'], '.spec.containers');
    if (containers.length > 1 || containers.some((container) => container['name'] !== 'engine')) {
      forbid('.spec.containers', 'give one container named "engine", which is merged with the operator\'s');
    }
    const container = containers[0] ?? {};
    only(container, CONTAINER_FIELDS, '.spec.containers[0]');
    const volumes = volumesOf(spec['volumes']);
    return {
      ok: true,
      additions: {
        labels: textMap(metadata['labels'], '.metadata.labels'),
        annotations: textMap(metadata['annotations'], '.metadata.annotations'),
        podSpec: Object.fromEntries(Object.entries(spec).filter(([key]) => POD_FIELDS.includes(key))),
        volumes,
        resources: resourcesOf(container['resources'], '.spec.containers[0].resources'),
        env: envOf(container['env'], '.spec.containers[0].env'),
        volumeMounts: mountsOf(container['volumeMounts'], volumes, '.spec.containers[0].volumeMounts'),
      },
    };
  } catch (error) {
    if (error instanceof Forbidden) return { ok: false, message: error.message };
    throw error;
  }
};
