import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { Client } from '@cupel/kube/client';
import { leases, nodes, pods } from '@cupel/kube/resource';
import type { BuiltIn } from '@cupel/kube/resource';

const CLI = join(import.meta.dirname, '../../../services/operator/src/cli/verify-manifest.ts');
const NODE = 'node-1';

export interface PodRunner extends AsyncDisposable {
  /** Pods that run, by name. */
  readonly running: ReadonlySet<string>;
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
}

/**
 * Stands in for a kubelet: one Ready node with four simulated accelerators; runs the container `verify` of a bound pod for real, over the folder
 * that `folderOf` gives for its claim, and then reports the engine as started. research/cluster.md, 4.
 */
export const startPodRunner = async (client: Client, folderOf: (claim: string) => string): Promise<PodRunner> => {
  await client.apply(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: NODE, labels: { pool: 'a' } } });
  const renew = async (): Promise<void> => {
    await client.apply(leases, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { namespace: 'kube-node-lease', name: NODE },
      spec: { holderIdentity: NODE, leaseDurationSeconds: 40, renewTime: new Date().toISOString().replace('Z', '000Z') },
    } as BuiltIn);
  };
  await client.mergePatch(
    nodes,
    { name: NODE },
    {
      status: {
        capacity: { cpu: '8', memory: '16Gi', pods: '110', 'nvidia.com/gpu': '4' },
        allocatable: { cpu: '8', memory: '16Gi', pods: '110', 'nvidia.com/gpu': '4' },
        conditions: [
          { type: 'Ready', status: 'True', reason: 'KubeletReady', message: '', lastHeartbeatTime: now(), lastTransitionTime: now() },
        ],
      },
    },
    { subresource: 'status' },
  );
  await renew();

  const running = new Set<string>();
  const done = new Set<string>();
  let stopped = false;
  const loop = async (): Promise<void> => {
    for (let tick = 0; !stopped; tick++) {
      if (tick % 50 === 49) await renew().catch(() => undefined);
      const { items } = await client
        .list(pods, { labelSelector: 'app.kubernetes.io/managed-by=cupel-operator' })
        .catch(() => ({ items: [] as BuiltIn[] }));
      await Promise.all(items.map((pod) => step(pod).catch(() => undefined)));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const step = async (pod: BuiltIn): Promise<void> => {
    const { name, namespace, uid = '', deletionTimestamp } = pod.metadata;
    if (deletionTimestamp !== undefined) {
      running.delete(name);
      await client.delete(pods, { namespace, name }, { uid, gracePeriodSeconds: 0 });
      return;
    }
    if (pod.spec?.['nodeName'] === undefined || done.has(uid)) return;
    done.add(uid);
    const init = (pod.spec['initContainers'] as Container[])[0]!;
    const engine = (pod.spec['containers'] as Container[])[0]!;
    const claim = (pod.spec['volumes'] as { persistentVolumeClaim?: { claimName: string } }[])[0]!.persistentVolumeClaim!.claimName;
    const verified = await runVerify(folderOf(claim), init.args ?? [], uid);
    const ok = verified.exitCode === 0;
    if (ok) running.add(name);
    await client.mergePatch(
      pods,
      { namespace, name },
      {
        status: {
          phase: ok ? 'Running' : 'Pending',
          podIP: '10.99.0.1',
          podIPs: [{ ip: '10.99.0.1' }],
          startTime: now(),
          conditions: ['Initialized', 'ContainersReady', 'Ready'].map((type) => ({
            type,
            status: ok ? 'True' : 'False',
            lastTransitionTime: now(),
          })),
          initContainerStatuses: [
            status(init, ok, { terminated: { ...verified, reason: ok ? 'Completed' : 'Error', startedAt: now(), finishedAt: now() } }),
          ],
          containerStatuses: [status(engine, ok, ok ? { running: { startedAt: now() } } : { waiting: { reason: 'PodInitializing' } })],
        },
      },
      { subresource: 'status' },
    );
  };
  const finished = loop();
  return {
    running,
    async [Symbol.asyncDispose]() {
      stopped = true;
      await finished;
    },
  };
};

const now = (): string => `${new Date().toISOString().slice(0, 19)}Z`;

const status = ({ name, image }: Container, ready: boolean, state: object): object => ({
  name,
  image,
  imageID: image,
  ready,
  restartCount: 0,
  started: ready,
  state,
});

const runVerify = async (dir: string, args: readonly string[], uid: string): Promise<{ exitCode: number; message: string }> => {
  const scratch = await mkdtemp(join(tmpdir(), 'cupel-pod-'));
  const log = join(scratch, 'termination');
  const replaced = args.map((arg, i) => (args[i - 1] === '--dir' ? dir : args[i - 1] === '--run-dir' ? scratch : arg));
  const exitCode = await promisify(execFile)(process.execPath, [CLI, ...replaced, '--pod-uid', uid, '--termination-log', log]).then(
    () => 0,
    () => 1,
  );
  const message = await readFile(log, 'utf8').catch(() => '');
  await rm(scratch, { recursive: true, force: true });
  return { exitCode, message };
};
