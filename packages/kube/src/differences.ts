/** Lists that Kubernetes merges by key, with the keys of an element (`x-kubernetes-list-map-keys` of the built-in kinds). */
const listKeys: Readonly<Record<string, readonly (readonly string[])[]>> = {
  containers: [['name']],
  initContainers: [['name']],
  ephemeralContainers: [['name']],
  volumes: [['name']],
  env: [['name']],
  imagePullSecrets: [['name']],
  secrets: [['name']],
  volumeMounts: [['mountPath']],
  volumeDevices: [['devicePath']],
  hostAliases: [['ip']],
  conditions: [['type']],
  ownerReferences: [['uid']],
  topologySpreadConstraints: [['topologyKey', 'whenUnsatisfiable']],
  ports: [
    ['containerPort', 'protocol'],
    ['port', 'protocol'],
  ],
};

// Keys that the server fills in before it merges.
const keyDefaults: Readonly<Record<string, string>> = { protocol: 'TCP' };

// What Kubernetes replaces as a whole: selectors, and the rules of a NetworkPolicy, where one more field may open a door.
const atomic = /(^|\.)(ingress|egress|\w*[sS]elector)(\.|\[|$)/;

/**
 * Paths at which `live` does not have what `desired` wants. Fields that `desired` does not name belong to others (defaults, other managers)
 * and do not count, nor do elements of merged lists; inside atomic values they do. Empty: nothing to do. Paths hold no values, so they may
 * be logged.
 */
export function differences(desired: unknown, live: unknown, path = ''): string[] {
  if (Array.isArray(desired) && (Array.isArray(live) || isEmpty(live)))
    return listDifferences(desired, Array.isArray(live) ? live : [], path);
  if (isRecord(desired) && (isRecord(live) || (isEmpty(desired) && isEmpty(live))))
    return recordDifferences(desired, isRecord(live) ? live : {}, path);
  if (isEmpty(desired) && isEmpty(live)) return [];
  return desired === live || sameQuantity(desired, live, path) ? [] : [path];
}

function recordDifferences(desired: Record<string, unknown>, live: Record<string, unknown>, path: string): string[] {
  const at = (key: string): string => (path === '' ? key : `${path}.${key}`);
  const found = Object.entries(desired).flatMap(([key, value]) => (value === undefined ? [] : differences(value, live[key], at(key))));
  if (!atomic.test(path)) return found;
  const foreign = Object.entries(live).filter(([key, value]) => !isWanted(desired[key]) && !isEmpty(value) && keyDefaults[key] !== value);
  return [...found, ...foreign.filter(([key]) => !found.includes(at(key))).map(([key]) => at(key))];
}

function isWanted(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function listDifferences(desired: readonly unknown[], live: readonly unknown[], path: string): string[] {
  const keys = keysOf(path, desired);
  if (keys === undefined) {
    if (desired.length !== live.length) return [path];
    return desired.flatMap((item, index) => differences(item, live[index], `${path}[${index}]`));
  }
  const liveByKey = new Map(live.map((item) => [keyOf(item, keys), item]));
  return desired.flatMap((item) => {
    const key = keyOf(item, keys);
    return liveByKey.has(key) ? differences(item, liveByKey.get(key), `${path}[${key}]`) : [`${path}[${key}]`];
  });
}

function keysOf(path: string, desired: readonly unknown[]): readonly string[] | undefined {
  if (atomic.test(path)) return undefined;
  const field = path.slice(path.lastIndexOf('.') + 1);
  return listKeys[field]?.find((keys) => desired.every((item) => isRecord(item) && item[keys[0] ?? ''] !== undefined));
}

function keyOf(item: unknown, keys: readonly string[]): string {
  const parts = keys.map((key) => (isRecord(item) ? item[key] : undefined) ?? keyDefaults[key] ?? '');
  return parts.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join('/');
}

// Go's omitempty: the server drops such values when it stores a built-in object.
function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === false || value === 0 || value === '' || isEmptyContainer(value);
}

function isEmptyContainer(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return isRecord(value) && Object.keys(value).length === 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const quantityPath = /(^|\.)(limits|requests|capacity|allocatable|hard|sizeLimit|min|max|default|defaultRequest)(\.|$)/;
const quantityText = /^([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d+|[KMGTPE]i|[numkMGTPE])?$/;
const suffixes = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];

/** The server writes quantities its own way: `1000m` comes back as `1`, `1024Mi` as `1Gi`. */
function sameQuantity(a: unknown, b: unknown, path: string): boolean {
  if (!quantityPath.test(path)) return false;
  const x = quantity(a);
  const y = quantity(b);
  return x !== undefined && y !== undefined && Math.abs(x - y) <= Math.abs(x) * 1e-12;
}

function quantity(value: unknown): number | undefined {
  const [, digits, suffix = ''] = quantityText.exec(String(value)) ?? [];
  if (digits === undefined) return undefined;
  if (/^[eE]./.test(suffix)) return Number(`${digits}${suffix}`);
  if (suffix.endsWith('i')) return Number(digits) * 1024 ** ('KMGTPE'.indexOf(suffix.charAt(0)) + 1);
  return Number(digits) * 10 ** (3 * (suffixes.indexOf(suffix) - 3));
}
