import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { newAccounts } from '@cupel/local/demo/accounts';
import { newBusUsers } from '@cupel/local/demo/bus-users';
import { chartFolder, newAdminTokens } from '@cupel/local/demo/install';
import type { Release, Stage } from '@cupel/local/demo/install';
import { toolBinary } from '@cupel/local/tools';
import { TEST_CHAIN_ID, TEST_CONTRACTS, word } from '@cupel/testing/builders';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';

const labels = z.record(z.string(), z.string());
const securityContext = z.looseObject({
  runAsNonRoot: z.boolean().optional(),
  allowPrivilegeEscalation: z.boolean().optional(),
  readOnlyRootFilesystem: z.boolean().optional(),
  privileged: z.boolean().optional(),
  capabilities: z.looseObject({ drop: z.array(z.string()).optional(), add: z.array(z.string()).optional() }).optional(),
  seccompProfile: z.looseObject({ type: z.string() }).optional(),
});
const container = z.looseObject({
  name: z.string(),
  image: z.string(),
  args: z.array(z.string()).default([]),
  securityContext,
  volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })).default([]),
  livenessProbe: z.looseObject({}).optional(),
  readinessProbe: z.looseObject({}).optional(),
  lifecycle: z.looseObject({ preStop: z.looseObject({ sleep: z.looseObject({ seconds: z.number() }) }) }).optional(),
  resources: z.looseObject({ requests: z.record(z.string(), z.string()), limits: z.record(z.string(), z.string()) }),
});
const podSpec = z.looseObject({
  automountServiceAccountToken: z.boolean().optional(),
  terminationGracePeriodSeconds: z.number().default(30),
  securityContext,
  containers: z.array(container).min(1),
  initContainers: z.array(container).default([]),
  volumes: z
    .array(
      z.looseObject({ name: z.string(), secret: z.looseObject({ secretName: z.string() }).optional(), hostPath: z.unknown().optional() }),
    )
    .default([]),
});
export type PodSpec = z.output<typeof podSpec>;

const manifest = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    labels: labels.default({}),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
});
export type Manifest = z.output<typeof manifest>;

const withTemplate = z.looseObject({
  spec: z.looseObject({ template: z.looseObject({ metadata: z.looseObject({ labels }), spec: podSpec }) }),
});
const pod = z.looseObject({ metadata: z.looseObject({ labels }), spec: podSpec });

export interface Pod {
  readonly owner: string;
  readonly component: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: PodSpec;
}

/** Everything that starts pods. */
export const podsOf = (objects: readonly Manifest[]): Pod[] =>
  objects.flatMap((object): Pod[] => {
    const owner = `${object.kind} ${object.metadata.name}`;
    const from = (podLabels: Record<string, string>, spec: PodSpec): Pod => ({
      owner,
      component: podLabels['app.kubernetes.io/component'] ?? '',
      namespace: object.metadata.namespace ?? '',
      labels: podLabels,
      spec,
    });
    if (object.kind === 'Pod') {
      const parsed = pod.parse(object);
      return [from(parsed.metadata.labels, parsed.spec)];
    }
    if (!['Deployment', 'StatefulSet', 'DaemonSet', 'Job'].includes(object.kind)) return [];
    const { metadata, spec } = withTemplate.parse(object).spec.template;
    return [from(metadata.labels, spec)];
  });

/** The objects of a YAML stream; throws on YAML that a reader of version 1.1, as helm and kubectl are, could take in two ways. */
export const objectsOf = (text: string): Manifest[] => {
  const documents = parseAllDocuments(text, { version: '1.1', uniqueKeys: true });
  if ('empty' in documents) return [];
  return documents.flatMap((document) => {
    if (document.errors.length > 0) throw new Error(document.errors.map(({ message }) => message).join('\n'));
    const value: unknown = document.toJS();
    return value === null ? [] : [manifest.parse(value)];
  });
};

/** What the four teams of the demo would install, with made-up contracts and models. */
export const testStage = (): Stage => ({
  chainId: TEST_CHAIN_ID,
  rpcUrl: 'http://anvil.chain.svc:8545',
  natsUrl: 'nats://nats.nats.svc:4222',
  contracts: TEST_CONTRACTS,
  deployedAtBlock: 1,
  accounts: newAccounts(),
  users: newBusUsers(),
  models: {
    assistant: { manifestSha256: 'a'.repeat(64), file: 'model.gguf' },
    digits: { manifestSha256: 'd'.repeat(64), verificationRoot: word(7) },
  },
  images: { cupel: 'localhost/cupel:1', llmEngine: 'localhost/llm-engine:1', lyingEngine: 'localhost/lying-engine:1' },
  adminTokens: newAdminTokens(),
});

const exec = promisify(execFile);

/** Runs helm. `values` become a file. Throws with helm's own message. */
export const helm = async (args: readonly string[], values?: object): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'cupel-helm-'));
  try {
    const file = join(folder, 'values.json');
    if (values !== undefined) await writeFile(file, JSON.stringify(values));
    const all = [...args, ...(values === undefined ? [] : ['--values', file])];
    const { stdout } = await exec(await toolBinary('helm'), all, { maxBuffer: 1 << 26 });
    return stdout;
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
    throw new Error(said || String(error), { cause: error });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

export const renderRelease = (release: Release): Promise<string> =>
  helm(['template', release.name, chartFolder('cupel'), '--namespace', release.namespace], release.values);

/** helm's message for values that it must refuse. */
export const refusal = async (values: object): Promise<string> => {
  try {
    await renderRelease({ name: 'team', namespace: 'team', values });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error('helm took the values');
};

type Json = Readonly<Record<string, unknown>>;
const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** `changes` laid over `values`, deeply; undefined takes a key away. */
export const changed = (values: object, changes: object): object => {
  const out: Record<string, unknown> = { ...values };
  for (const [key, change] of Object.entries(changes)) {
    const old = out[key];
    if (change === undefined) delete out[key];
    else out[key] = isJson(change) && isJson(old) ? changed(old, change) : change;
  }
  return out;
};
