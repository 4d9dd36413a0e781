import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import type { Clock } from './clock.ts';

export type { KubeConfig };

const serviceAccountToken = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/**
 * Reads a kubeconfig, or without a path takes the pod's service account.
 * @throws naming what is missing and how to provide it.
 */
export function loadKubeConfig(options: { readonly path?: string | undefined } = {}): KubeConfig {
  const config = new KubeConfig();
  if (options.path !== undefined) {
    config.loadFromFile(options.path);
    if (config.getCurrentCluster() === null)
      throw new Error(`kubeconfig ${options.path}: current-context names no cluster; set it with kubectl config use-context`);
    return config;
  }
  if (!existsSync(serviceAccountToken))
    throw new Error(
      `no Kubernetes credentials: ${serviceAccountToken} is absent; run in a pod with a service account, or give a kubeconfig path`,
    );
  config.loadFromCluster();
  return config;
}

export interface TlsMaterial {
  readonly ca?: string | Buffer | undefined;
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
  readonly servername?: string | undefined;
  readonly rejectUnauthorized?: boolean | undefined;
}

export interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsMaterial;
}

/** Where a transport gets its credentials: re-read after `invalidate` and every few seconds, since tokens rotate on disk. */
export interface CredentialSource {
  readonly server: string;
  readonly proxyUrl: string | undefined;
  read(): Promise<Credentials>;
  /** After 401: the next `read` goes to the source. */
  invalidate(): void;
}

// A projected token is replaced long before it ends; a file read every 10 s is cheap and never late.
const rereadAfterMs = 10_000;

export function credentialSource(config: KubeConfig, clock: Clock): CredentialSource {
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error('the kubeconfig has no current cluster; set current-context');
  let cached: Promise<Credentials> | undefined;
  let readAt = 0;
  const tokenFile = tokenFileOf(config.getCurrentUser()?.authProvider);
  const read = (): Promise<Credentials> => {
    if (cached !== undefined && clock.monotonicMs() - readAt < rereadAfterMs) return cached;
    readAt = clock.monotonicMs();
    const reading = readCredentials(config, tokenFile);
    cached = reading;
    // A failed read is not kept.
    reading.catch(() => {
      if (cached === reading) cached = undefined;
    });
    return reading;
  };
  return {
    server: cluster.server,
    proxyUrl: cluster.proxyUrl,
    read,
    invalidate: () => {
      cached = undefined;
    },
  };
}

async function readCredentials(config: KubeConfig, tokenFile: string | undefined): Promise<Credentials> {
  const options: RequestOptions = { headers: {} };
  // The library caches a token file for a minute, also after 401; so the token is read here.
  await config.applyToHTTPSOptions(options);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) if (value !== undefined) headers[name.toLowerCase()] = String(value);
  if (typeof options.auth === 'string') headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  if (tokenFile !== undefined) headers['authorization'] = `Bearer ${(await readFile(tokenFile, 'utf8')).trim()}`;
  return {
    headers,
    tls: {
      ca: material(options.ca),
      cert: material(options.cert),
      key: material(options.key),
      servername: options.servername,
      rejectUnauthorized: options.rejectUnauthorized,
    },
  };
}

function material(value: unknown): string | Buffer | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string' || Buffer.isBuffer(value)) return value;
  throw new Error('the kubeconfig gives TLS material in a form that is not supported; use PEM data or files');
}

function tokenFileOf(authProvider: unknown): string | undefined {
  if (typeof authProvider !== 'object' || authProvider === null || !('config' in authProvider)) return undefined;
  const settings = authProvider.config;
  if (typeof settings !== 'object' || settings === null || !('tokenFile' in settings)) return undefined;
  return typeof settings.tokenFile === 'string' ? settings.tokenFile : undefined;
}
