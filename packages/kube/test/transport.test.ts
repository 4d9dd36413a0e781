import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { describe, expect, it } from 'vitest';
import { ApiError, isAlreadyExists, isConflict, isNotFound } from '../src/api-error.ts';
import { type Client, createClient } from '../src/client.ts';
import { systemClock } from '../src/clock.ts';
import { credentialSource, loadKubeConfig } from '../src/credentials.ts';
import { configMaps, resourcePath } from '../src/resource.ts';
import { createTransport } from '../src/transport.ts';
import { answer, type FakeApiServer, startFakeApiServer } from './fake-api-server.ts';

const name = { namespace: 'team', name: 'a' };
const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: name };
const status = (code: number, reason: string, more: object = {}): object => ({
  kind: 'Status',
  code,
  reason,
  message: `it is ${reason}`,
  ...more,
});

async function withServer(work: (server: FakeApiServer, client: Client) => Promise<void>): Promise<void> {
  await using server = await startFakeApiServer();
  const transport = createTransport({ config: server.config, deadlineMs: 3000 });
  try {
    await work(server, createClient({ transport, fieldManager: 'test' }));
  } finally {
    await transport.close();
  }
}

const failure = async (work: Promise<unknown>): Promise<ApiError> => {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ApiError)) throw new Error(`expected an ApiError, got ${String(error)}`);
  return error;
};

describe('transport and client', () => {
  it('reads a refusal: status, reason, message and how long to wait', () =>
    withServer(async (server, client) => {
      server.next(answer(409, status(409, 'AlreadyExists')), answer(409, status(409, 'Conflict')));
      expect(isAlreadyExists(await failure(client.create(configMaps, object)))).toBe(true);
      expect(isConflict(await failure(client.replace(configMaps, object)))).toBe(true);
      server.next(answer(500, status(500, 'InternalError', { details: { retryAfterSeconds: 7 } })));
      const error = await failure(client.create(configMaps, object));
      expect([error.status, error.reason, error.retryAfterMs]).toEqual([500, 'InternalError', 7000]);
      expect(error.message).toBe('POST /api/v1/namespaces/team/configmaps: 500 it is InternalError');
      expect(await client.get(configMaps, name)).toBeUndefined();
      expect(await client.delete(configMaps, name)).toBe(false);
      expect(isNotFound(await failure(client.mergePatch(configMaps, name, {})))).toBe(true);
    }));

  it('sends reads and applies again after a reset and after 5xx, but never a create', () =>
    withServer(async (server, client) => {
      const reset = (request: { socket: { resetAndDestroy(): unknown } }): void => void request.socket.resetAndDestroy();
      server.next(reset, answer(503, 'busy'), answer(200, object));
      expect((await client.get(configMaps, name))?.metadata.name).toBe('a');
      server.next(reset, answer(200, object));
      await client.apply(configMaps, object);
      const before = server.requests.length;
      server.next(reset, answer(500, 'boom'));
      expect((await failure(client.create(configMaps, object))).reason).toBe('Unreachable');
      expect((await failure(client.create(configMaps, object))).status).toBe(500);
      expect(server.requests.length - before).toBe(2);
    }));

  it('sends anything again after 429 when the wait fits the deadline, and else says how long', () =>
    withServer(async (server, client) => {
      server.next(answer(429, status(429, 'TooManyRequests'), { 'retry-after': '1' }), answer(201, object));
      const beganMs = performance.now();
      await client.create(configMaps, object);
      expect(performance.now() - beganMs).toBeGreaterThan(950);
      server.next(answer(429, status(429, 'TooManyRequests'), { 'retry-after': '60' }));
      expect((await failure(client.create(configMaps, object))).retryAfterMs).toBe(60_000);
    }));

  it('ends a call that gets no answer, or a hanging body, at its deadline', () =>
    withServer(async (server, client) => {
      server.next(() => {});
      expect((await failure(client.get(configMaps, name, { deadlineMs: 100 }))).reason).toBe('Timeout');
      server.next((_request, response) => void response.write('{"metadata"'));
      expect((await failure(client.get(configMaps, name, { deadlineMs: 100 }))).reason).toBe('Timeout');
      server.next(() => {});
      const reason = (await failure(client.get(configMaps, name, { signal: AbortSignal.timeout(50) }))).reason;
      expect(reason).toBe('Aborted');
    }));

  it('sends bodies as they are, as server-side apply with manager, force and dry run', () =>
    withServer(async (server, client) => {
      let sent = '';
      let type: string | undefined;
      server.next((request, response, body) => {
        sent = body;
        type = request.headers['content-type'];
        answer(200, object)(request, response, body);
      });
      const odd = { ...object, spec: { futureField: { x: 1 } } };
      await client.apply(configMaps, odd, { dryRun: true });
      expect(JSON.parse(sent)).toEqual(odd);
      expect(type).toBe('application/apply-patch+yaml');
      expect(server.requests.at(-1)).toBe('PATCH /api/v1/namespaces/team/configmaps/a?force=true&fieldManager=test&dryRun=All');
      expect(server.headers.at(-1)?.authorization).toBe('Bearer secret-token');
    }));

  it('keeps a name from leaving its path', () => {
    expect(resourcePath(configMaps, { namespace: 'a', name: '../../b?x' })).toBe('/api/v1/namespaces/a/configmaps/..%2F..%2Fb%3Fx');
    expect(() => resourcePath(configMaps, { namespace: '..', name: 'b' })).toThrow(/cannot be the name/);
    expect(() => resourcePath(configMaps, { name: 'b' })).toThrow(/namespace is missing/);
  });
});

describe('credentials', () => {
  it('names the remedy when there are none', () => {
    expect(() => loadKubeConfig()).toThrow(/run in a pod with a service account, or give a kubeconfig path/);
  });

  it('reads a rotated token file after 401', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kube-token-'));
    const tokenFile = join(folder, 'token');
    await using server = await startFakeApiServer();
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
      { name: 'c', server: `http://127.0.0.1:${server.port}`, skipTLSVerify: true },
      { name: 'u', authProvider: { name: 'tokenFile', config: { tokenFile } } },
    );
    await writeFile(tokenFile, 'old\n');
    const transport = createTransport({ config });
    const client = createClient({ transport, fieldManager: 'test' });
    server.next(answer(200, object));
    await client.get(configMaps, name);
    await writeFile(tokenFile, 'new\n');
    server.next(answer(401, status(401, 'Unauthorized')), answer(200, object));
    await client.get(configMaps, name);
    expect(server.headers.map(({ authorization }) => authorization)).toEqual(['Bearer old', 'Bearer old', 'Bearer new']);
    server.next(answer(401, status(401, 'Unauthorized')), answer(401, status(401, 'Unauthorized')));
    expect((await failure(client.get(configMaps, name))).status).toBe(401);
    const source = credentialSource(config, systemClock);
    await rm(folder, { recursive: true });
    await expect(source.read()).rejects.toThrow(/ENOENT/);
    await transport.close();
  });
});
