import { join } from 'node:path';
import { z } from 'zod';
import type { Image } from './image-archive.ts';

/** What the processes of a cluster are told, as the file `spec.json` in its state folder. */
export interface ClusterSpec {
  readonly stateFolder: string;
  /** The node's root is a normal user's user namespace: no cgroups, so no limits on CPU and memory. */
  readonly rootless: boolean;
  readonly images: readonly Image[];
  /** Whether containerd's folder has all images already. */
  readonly storeComplete: boolean;
  readonly corednsReference: string;
  readonly pauseReference: string;
  readonly gpus: number;
  readonly nodeLabels: Readonly<Record<string, string>>;
  readonly volumes: number;
  readonly auditLog: boolean;
  /** Folders of programs and of unpacked Debian packages. */
  readonly kubeTools: string;
  readonly nodeTools: string;
  readonly debs: string;
}

/** The files of a cluster. */
export function clusterFiles(stateFolder: string): {
  spec: string;
  status: string;
  kubeconfig: string;
  node: string;
  containerdRoot: string;
  kubelet: string;
  logs: string;
  podLogs: string;
  auditLog: string;
} {
  const node = join(stateFolder, 'node');
  return {
    spec: join(stateFolder, 'spec.json'),
    status: join(stateFolder, 'status.json'),
    kubeconfig: join(stateFolder, 'kubeconfig'),
    node,
    containerdRoot: join(node, 'containerd'),
    kubelet: join(node, 'kubelet'),
    logs: join(node, 'logs'),
    podLogs: join(node, 'pod-logs'),
    auditLog: join(node, 'audit.log'),
  };
}

const statusSchema = z.strictObject({
  /** `ended` with an `error` when the cluster broke. */
  phase: z.enum(['starting', 'ready', 'ended']),
  /** What is being waited for, or what was reached last. */
  note: z.string(),
  error: z.string().optional(),
  keeperPid: z.int(),
  keeperStart: z.string(),
  /** The one process under which everything lives; 0 until it is there. */
  clusterPid: z.int(),
  cgroup: z.string(),
  controlSocket: z.string(),
  apiPort: z.int(),
  exposed: z.record(z.string(), z.strictObject({ target: z.string(), port: z.int() })),
});

export type ClusterStatus = z.infer<typeof statusSchema>;

export function parseStatus(text: string): ClusterStatus {
  return statusSchema.parse(JSON.parse(text));
}

/** A message from inside to the keeper, one JSON object a line. */
export const insideMessage = z.strictObject({ note: z.string(), ready: z.boolean().optional(), error: z.string().optional() });
