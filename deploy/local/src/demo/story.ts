import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Contracts } from '@cupel/protocol/wire/config';

import type { Cluster } from '../cluster.ts';
import { up } from '../cluster.ts';
import { nodeName } from '../node-config.ts';
import type { Progress } from '../progress.ts';
import { removeFolder } from '../rootless.ts';
import { newAccounts } from './accounts.ts';
import type { Accounts } from './accounts.ts';
import { askChats, askDigits, loadSamples } from './ask.ts';
import type { Answer } from './ask.ts';
import { newBusUsers, natsConfig } from './bus-users.ts';
import { fund, nameRoles, openDesk } from './chain-setup.ts';
import type { Desk } from './chain-setup.ts';
import { buildContracts, deployContracts } from './contracts.ts';
import { managementOf, openChannel } from './consumer.ts';
import type { Management, Wallet } from './consumer.ts';
import { allSecrets, chartFolder, installRelease, newAdminTokens, releases } from './install.ts';
import type { Stage } from './install.ts';
import { apply, getJson, waitFor } from './kubectl.ts';
import { prepareModels, weightsFolders } from './models.ts';
import { NAMESPACES, anvil, claim, localVolume, namespace, nats, secret, storageClass } from './objects.ts';
import { assistant, digits, digitsCheap, gpuPool, market } from './providers.ts';
import { readBooks } from './purses.ts';
import type { Books } from './purses.ts';
import { rpcOf } from './rpc.ts';
import type { Rpc } from './rpc.ts';

export const CHAIN_ID = 31337;

/** Short by parameter, never by moving the clock: a claim window of 2 s, evidence for 11 s, and so 13 s of unbonding. */
const WINDOWS = { 'evidence-seconds': 11, 'window-seconds': 2 };

/** What the story has set up and seen; the table and the end-to-end tests read it. */
export interface Told {
  readonly cluster: Cluster;
  readonly stage: Stage;
  readonly desk: Desk;
  readonly rpc: Rpc;
  /** JSON-RPC of the chain, from outside. */
  readonly chainUrl: string;
  readonly baseUrl: string;
  readonly metricsUrl: string;
  readonly apiKey: string;
  readonly wallet: Wallet;
  readonly management: { readonly gateway: Management; readonly honest: Management; readonly cheat: Management };
  readonly before: Books;
  readonly answers: Answer[];
  readonly volumes: string;
}

interface ProviderObject {
  status?: { conditions?: { type: string; status: string; reason: string; message: string }[] };
}

/** Waits for a condition and, when it does not come, says what the object says of itself. */
export const waitForCondition = (cluster: Cluster, ns: string, name: string, type: string, status: string, timeoutMs: number) => {
  let last = 'nothing yet';
  return waitFor(
    `ModelProvider ${ns}/${name} to have ${type}=${status}`,
    async () => {
      const object = await getJson<ProviderObject>(cluster, ['-n', ns, 'modelprovider', name]);
      const conditions = object.status?.conditions ?? [];
      last = conditions.map((c) => `${c.type}=${c.status} ${c.reason}: ${c.message}`).join('\n  ');
      return conditions.find((c) => c.type === type && c.status === status);
    },
    timeoutMs,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; it says:\n  ${last}`, { cause: error });
  });
};

const rollout = (cluster: Cluster, ns: string, kind: string, name: string, seconds: number): Promise<string> =>
  cluster.kubectl(['-n', ns, 'rollout', 'status', `${kind}/${name}`, `--timeout=${seconds}s`]);

/** Steps 1 and 2: cluster, NATS, chain, contracts, charts. */
const setTheStage = async (progress: Progress, stateFolder: string, keep: boolean) => {
  const cluster = await up({
    stateFolder,
    images: ['cupel', 'llm-engine', 'lying-engine', 'anvil', 'nats'],
    gpus: 2,
    volumes: 0,
    auditLog: true,
    lifetime: keep ? 'detached' : 'caller',
    progress,
  });
  await progress.step('build the contracts', () => buildContracts());
  const accounts = newAccounts();
  const volumes = join(cluster.stateFolder, 'volumes');
  const users = newBusUsers();
  const { models, rpc, rpcUrl } = await progress.step('start NATS and a chain', async (note) => {
    note('volumes');
    // A new chain and new keys: nothing of an earlier run may be found on the disks.
    await removeFolder(volumes);
    const prepared = await prepareModels(join(volumes, 'weights'));
    const ledgers = [
      'gateway/data-gateway-payment-0',
      'honest/data-edge-payment-0',
      'cheat/data-edge-payment-0',
      'gateway/data-gateway-verifier-0',
      'honest/data-edge-verifier-0',
      'cheat/data-edge-verifier-0',
    ];
    await Promise.all(ledgers.map((l) => mkdir(join(volumes, 'ledgers', l), { recursive: true })));
    await apply(cluster, NAMESPACES.map(namespace));
    const split = (key: string) => key.split('/') as [string, string];
    await apply(cluster, [
      storageClass,
      ...ledgers.map((l) => localVolume(...split(l), join(volumes, 'ledgers', l), nodeName, 'ReadWriteOnce', '64Mi')),
      ...Object.keys(weightsFolders).flatMap((w) => [
        localVolume(...split(w), join(volumes, 'weights', w), nodeName, 'ReadOnlyMany', '200Mi'),
        claim(...split(w), '200Mi'),
      ]),
      secret('nats', 'nats-config', { 'nats.conf': natsConfig(users) }),
      ...nats(cluster.images['nats']!),
      ...anvil(cluster.images['anvil']!, CHAIN_ID),
    ]);
    note('pods');
    await Promise.all([rollout(cluster, 'nats', 'deployment', 'nats', 60), rollout(cluster, 'chain', 'deployment', 'anvil', 60)]);
    const exposed = await cluster.exposeService('chain', 'anvil', 8545);
    return { models: prepared, rpc: rpcOf(exposed.url), rpcUrl: exposed.url };
  });
  const desk = openDesk(rpcUrl, CHAIN_ID);
  const deployed = await progress.step('deploy the contracts, fund the purses', async (note) => {
    const result = await deployContracts(rpcUrl, CHAIN_ID, accounts.faucet.key, join(cluster.stateFolder, 'market'), WINDOWS);
    note('purses and roles');
    await fund(desk, result.contracts, accounts);
    await nameRoles(desk, result.contracts, accounts);
    return result;
  });
  const stage: Stage = {
    chainId: CHAIN_ID,
    rpcUrl: 'http://anvil.chain.svc.cluster.local:8545',
    natsUrl: 'nats://nats.nats.svc.cluster.local:4222',
    contracts: deployed.contracts,
    deployedAtBlock: deployed.block,
    accounts,
    users,
    models,
    images: { cupel: cluster.images['cupel']!, llmEngine: cluster.images['llm-engine']!, lyingEngine: cluster.images['lying-engine']! },
    adminTokens: newAdminTokens(),
  };
  await progress.step('helm install: cluster, gateway, two edges', async (note) => {
    note('charts');
    await cluster.helm(['upgrade', '--install', 'cupel-crds', chartFolder('cupel-crds'), '--namespace', 'cupel-system']);
    await apply(cluster, allSecrets(stage));
    for (const release of releases(stage)) await installRelease(cluster, release);
    note('pods');
    await Promise.all([
      rollout(cluster, 'cupel-system', 'deployment', 'cupel-operator', 90),
      rollout(cluster, 'cupel-system', 'deployment', 'cupel-watcher', 90),
      rollout(cluster, 'gateway', 'deployment', 'gateway-router', 90),
      rollout(cluster, 'gateway', 'statefulset', 'gateway-payment', 90),
      rollout(cluster, 'gateway', 'statefulset', 'gateway-verifier', 90),
      rollout(cluster, 'gateway', 'deployment', 'gateway-watcher', 90),
      ...['honest', 'cheat'].flatMap((ns) => [
        rollout(cluster, ns, 'deployment', 'edge-router', 90),
        rollout(cluster, ns, 'statefulset', 'edge-payment', 90),
      ]),
    ]);
  });
  return { cluster, accounts, volumes, desk, rpc, rpcUrl, stage };
};

/** Step 4: the consumer's channel, key and first voucher. */
const openForBusiness = async (cluster: Cluster, stage: Stage, desk: Desk, contracts: Contracts, accounts: Accounts, before: Books) => {
  const router = await cluster.exposeService('gateway', 'gateway-router', 80);
  const metrics = await cluster.exposeService('gateway', 'gateway-router', 9090);
  const manage = async (ns: 'gateway' | 'honest' | 'cheat') => {
    const service = ns === 'gateway' ? 'gateway-payment' : 'edge-payment';
    return managementOf((await cluster.exposeService(ns, service, 8081)).url, stage.adminTokens[ns]);
  };
  const management = { gateway: await manage('gateway'), honest: await manage('honest'), cheat: await manage('cheat') };
  const wallet = await openChannel(desk, contracts, CHAIN_ID, accounts.consumer, accounts.gateway.payout.address, 5_000_000n);
  const { apiKey } = await management.gateway<{ apiKey: string }>('POST', '/consumers', { name: 'demo' });
  const gatewayUrl = (await cluster.exposeService('gateway', 'gateway-payment', 8081)).url;
  const own = managementOf(gatewayUrl, apiKey);
  await waitFor(
    'the channel to be final for the gateway',
    () => own<unknown>('POST', '/channels', { descriptor: wallet.descriptor }),
    20_000,
  );
  await waitFor('the first voucher to be taken', () => own<unknown>('POST', '/vouchers', wallet.voucher(3_000_000n)), 20_000);
  return { baseUrl: `${router.url}/v1`, metricsUrl: `${metrics.url}/metrics`, apiKey, wallet, management, before };
};

/** Steps 1 to 4. */
export const tellUpToTheAnswers = async (progress: Progress, stateFolder: string, keep: boolean): Promise<Told> => {
  const { cluster, accounts, volumes, desk, rpc, rpcUrl, stage } = await setTheStage(progress, stateFolder, keep);
  const before = await readBooks(rpc, accounts, stage.contracts);
  await progress.step('kubectl apply: a Market, a pool, three ModelProviders', async (note) => {
    await apply(cluster, [market(stage), gpuPool]);
    await apply(cluster, [assistant(stage), digits(stage), digitsCheap(stage)]);
    note('until Ready');
    await Promise.all([
      waitForCondition(cluster, 'honest', 'assistant', 'Ready', 'True', 120_000),
      waitForCondition(cluster, 'honest', 'digits', 'Ready', 'True', 120_000),
      waitForCondition(cluster, 'cheat', 'digits-cheap', 'Ready', 'True', 120_000),
    ]);
  });
  const open = await progress.step('the consumer opens a channel', () =>
    openForBusiness(cluster, stage, desk, stage.contracts, accounts, before),
  );
  const answers: Answer[] = [];
  const samples = await loadSamples();
  await progress.step('20 chats with the OpenAI client', async (note) => {
    answers.push(...(await waitFor('the gateway to see the models', async () => askChats(open.baseUrl, open.apiKey, 0, 1, note), 30_000)));
    answers.push(...(await askChats(open.baseUrl, open.apiKey, 1, 19, note)));
  });
  await progress.step('60 digits over the Open Inference Protocol', async (note) => {
    // One alone first: it makes the gateway open its channel to the cheapest provider.
    answers.push(...(await askDigits(open.baseUrl, open.apiKey, samples.slice(0, 1), note)));
    answers.push(...(await askDigits(open.baseUrl, open.apiKey, samples.slice(1, 60), note)));
  });
  return { cluster, stage, desk, rpc, chainUrl: rpcUrl, answers, volumes, ...open };
};

export const writeDemoFile = async (told: Told, path: string): Promise<void> => {
  const { baseUrl, apiKey, metricsUrl, cluster } = told;
  await writeFile(path, `${JSON.stringify({ baseUrl, apiKey, kubeconfig: cluster.kubeconfig, metricsUrl }, null, 2)}\n`, { mode: 0o600 });
};
