import type { ModelSpec } from './tensor-spec.ts';

export type Endpoint = 'server' | 'live' | 'ready' | 'model' | 'model-ready' | 'infer' | 'metrics';

export type Route =
  | { readonly endpoint: Endpoint; readonly method: 'GET' | 'POST' }
  | { readonly endpoint: 'unknown'; readonly message: string };

const fixed = new Map<string, Endpoint>([
  ['/v2', 'server'],
  ['/v2/health/live', 'live'],
  ['/v2/health/ready', 'ready'],
  ['/metrics', 'metrics'],
]);

/** Path (without query) to endpoint: the Open Inference Protocol's REST routes for one model. */
export function routeOf(path: string, spec: ModelSpec): Route {
  const endpoint = fixed.get(path);
  if (endpoint !== undefined) return { endpoint, method: 'GET' };
  const match = /^\/v2\/models\/(?<name>[^/]{1,300})(?:\/versions\/(?<version>[^/]{1,100}))?(?<rest>\/ready|\/infer)?$/.exec(path);
  const { name, version, rest } = match?.groups ?? {};
  if (name === undefined) return { endpoint: 'unknown', message: 'no such path; see GET /v2' };
  if (decode(name) !== spec.name) return { endpoint: 'unknown', message: `no such model; this engine serves "${spec.name}"` };
  if (version !== undefined && version !== spec.version) {
    return { endpoint: 'unknown', message: `no such version; "${spec.name}" has version ${spec.version}` };
  }
  if (rest === '/infer') return { endpoint: 'infer', method: 'POST' };
  return { endpoint: rest === '/ready' ? 'model-ready' : 'model', method: 'GET' };
}

function decode(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
