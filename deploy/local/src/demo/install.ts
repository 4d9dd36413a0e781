import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Hex } from '@cupel/protocol/hex';
import { encodeJson } from '@cupel/protocol/wire/scalars';
import type { Contracts } from '@cupel/protocol/wire/config';

import type { Cluster } from '../cluster.ts';
import { checkoutFolder } from '../config.ts';
import { apiServerPort, nodeAddress, podCidr } from '../node-config.ts';
import type { Accounts, ProviderAccounts } from './accounts.ts';
import { newKeyHex, newToken } from './accounts.ts';
import type { BusUsers } from './bus-users.ts';
import { grantsFor } from './grants.ts';
import type { Models } from './models.ts';
import { STORAGE_CLASS, secret } from './objects.ts';

/** What the four teams of the story put into their values and Secrets. */
export interface Stage {
  readonly chainId: number;
  readonly rpcUrl: string;
  readonly natsUrl: string;
  readonly contracts: Contracts;
  readonly deployedAtBlock: number;
  readonly accounts: Accounts;
  readonly users: BusUsers;
  readonly models: Models;
  readonly images: { readonly cupel: string; readonly llmEngine: string; readonly lyingEngine: string };
  /** Admin token of each management API, by namespace. */
  readonly adminTokens: Readonly<Record<'gateway' | 'honest' | 'cheat', string>>;
}

/** Share of the integer receipts that the verifier draws. */
export const SAMPLE_RATE = 0.95;

export const newAdminTokens = (): Stage['adminTokens'] => ({ gateway: newToken(), honest: newToken(), cheat: newToken() });

const natsSecret = (ns: string, name: string, user: { user: string; password: string }) =>
  secret(ns, `nats-${name}`, { user: user.user, password: user.password });

const PROVIDER_SLUGS = { honest: ['honest/assistant', 'honest/digits'], cheat: ['cheat/digits-cheap'] } as const;

const edgeSecrets = (stage: Stage, ns: 'honest' | 'cheat', provider: ProviderAccounts) => {
  const users = stage.users[ns];
  const notAfter = BigInt(Math.floor(Date.now() / 1000) + 30 * 86_400);
  const grants = grantsFor(provider, PROVIDER_SLUGS[ns], stage.chainId, stage.contracts.modelRegistry, notAfter);
  return [
    natsSecret(ns, 'router', users.router),
    natsSecret(ns, 'payment', users.payment),
    natsSecret(ns, 'verifier', users.defender),
    secret(ns, 'admin', { token: stage.adminTokens[ns] }),
    secret(ns, 'payload', { key: newKeyHex() }),
    secret(ns, 'settlement', { key: provider.settlement.key }),
    secret(ns, 'receipt', { key: provider.receiptSigner.key, 'grants.json': encodeJson(grants) }),
    secret(ns, 'defender', { key: provider.defender.key }),
    secret(ns, 'operator-key', { key: provider.operator.key }),
  ];
};

/** Every Secret of the story; each stays in the namespace of the team whose it is. */
export const allSecrets = (stage: Stage) => [
  natsSecret('cupel-system', 'operator', stage.users.operator),
  natsSecret('cupel-system', 'watcher', stage.users.watcher),
  natsSecret('gateway', 'router', stage.users.gateway.router),
  natsSecret('gateway', 'payment', stage.users.gateway.payment),
  natsSecret('gateway', 'verifier', stage.users.gateway.verifier),
  natsSecret('gateway', 'watcher', stage.users.gateway.watcher),
  secret('gateway', 'admin', { token: stage.adminTokens.gateway }),
  secret('gateway', 'payload', { key: newKeyHex() }),
  secret('gateway', 'settlement', { key: stage.accounts.gateway.settlement.key }),
  secret('gateway', 'payer', { key: stage.accounts.gateway.payer.key }),
  secret('gateway', 'verifier', { key: stage.accounts.verifier.key }),
  ...edgeSecrets(stage, 'honest', stage.accounts.honest),
  ...edgeSecrets(stage, 'cheat', stage.accounts.cheat),
];

const imageValue = (reference: string) => {
  const at = reference.lastIndexOf(':');
  return { repository: reference.slice(0, at), tag: reference.slice(at + 1), pullPolicy: 'Never' };
};

const shared = (stage: Stage) => ({
  image: imageValue(stage.images.cupel),
  nats: { url: stage.natsUrl },
  market: { chainId: stage.chainId, rpc: [{ name: 'anvil', url: stage.rpcUrl }], contracts: stage.contracts },
  networkPolicy: {
    nats: { to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'nats' } } }], ports: [4222] },
    rpc: { to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'chain' } } }], ports: [8545] },
    apiServer: { to: [{ ipBlock: { cidr: `${nodeAddress}/32` } }], ports: [apiServerPort] },
  },
});

const persistence = { size: '64Mi', storageClassName: STORAGE_CLASS };

const edgeValues = (stage: Stage, payee: Hex) => ({
  ...shared(stage),
  existingSecrets: {
    nats: { router: 'nats-router', payment: 'nats-payment', verifier: 'nats-verifier' },
    admin: 'admin',
    payload: 'payload',
    settlement: 'settlement',
    receipt: 'receipt',
    verifier: 'defender',
  },
  edge: {
    enabled: true,
    name: 'edge',
    payment: { payee, claims: { everySeconds: 2, maxCount: 100 }, persistence },
  },
  verifier: {
    enabled: true,
    role: 'defender',
    dispute: { enabled: false },
    models: [{ name: 'digits', kind: 'integer', manifestSha256: stage.models.digits.manifestSha256, claimName: 'digits-weights' }],
    persistence,
  },
});

export interface Release {
  readonly name: string;
  readonly namespace: string;
  readonly values: object;
}

export const releases = (stage: Stage): readonly Release[] => [
  {
    name: 'cupel',
    namespace: 'cupel-system',
    values: {
      ...shared(stage),
      watchNamespaces: ['honest', 'cheat'],
      existingSecrets: { nats: { operator: 'nats-operator', watcher: 'nats-watcher' } },
      operator: { enabled: true, engineImages: { LlamaCpp: stage.images.llmEngine, Integer: stage.images.cupel } },
      watcher: { enabled: true, startBlock: stage.deployedAtBlock, pollMs: 250 },
    },
  },
  {
    name: 'gateway',
    namespace: 'gateway',
    values: {
      ...shared(stage),
      existingSecrets: {
        nats: { watcher: 'nats-watcher', router: 'nats-router', payment: 'nats-payment', verifier: 'nats-verifier' },
        admin: 'admin',
        payload: 'payload',
        settlement: 'settlement',
        payer: 'payer',
        verifier: 'verifier',
      },
      gateway: {
        enabled: true,
        name: 'main',
        models: {
          assistant: { manifestSha256: stage.models.assistant.manifestSha256, kind: 'chat' },
          digits: {
            manifestSha256: stage.models.digits.manifestSha256,
            kind: 'integer',
            verificationRoot: stage.models.digits.verificationRoot,
          },
        },
        endpointPolicy: { allowedCIDRs: [podCidr, '10.96.0.0/16'], deniedAddresses: [nodeAddress, '10.96.0.1'] },
        payment: { payee: stage.accounts.gateway.payout.address, persistence },
      },
      verifier: {
        enabled: true,
        role: 'verifier',
        epochSeconds: 1,
        sampleRate: SAMPLE_RATE,
        beaconDelayBlocks: 1,
        models: [
          {
            name: 'assistant',
            kind: 'chat',
            manifestSha256: stage.models.assistant.manifestSha256,
            claimName: 'assistant-weights',
            modelFile: stage.models.assistant.file,
          },
          { name: 'digits', kind: 'integer', manifestSha256: stage.models.digits.manifestSha256, claimName: 'digits-weights' },
        ],
        engine: { image: imageValue(stage.images.llmEngine) },
        persistence,
      },
      watcher: { enabled: true, startBlock: stage.deployedAtBlock, pollMs: 250 },
    },
  },
  { name: 'edge', namespace: 'honest', values: edgeValues(stage, stage.accounts.honest.payout.address) },
  { name: 'edge', namespace: 'cheat', values: edgeValues(stage, stage.accounts.cheat.payout.address) },
];

export const chartFolder = (chart: 'cupel' | 'cupel-crds'): string => join(checkoutFolder, 'charts', chart);

/** `helm upgrade --install` of one release with the values written beside the cluster's state, so that a person can repeat it by hand. */
export const installRelease = async (cluster: Cluster, release: Release): Promise<void> => {
  const folder = join(cluster.stateFolder, 'values');
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${release.namespace}.json`);
  await writeFile(file, `${JSON.stringify(release.values, null, 2)}\n`);
  await cluster.helm(['upgrade', '--install', release.name, chartFolder('cupel'), '--namespace', release.namespace, '--values', file]);
};
