import { z } from 'zod';

import type { ModelProvider } from '@cupel/protocol/crd/objects';
import type { Hex } from '@cupel/protocol/hex';
import { bytes32, hexBytes, sha256 } from '@cupel/protocol/wire/scalars';

import { asBefore, fails, holds, unknown } from './findings.ts';
import type { Observed, ObservedPod } from './observed.ts';
import type { Finding } from './plan.ts';
import { acceleratorCount } from './render.ts';

/** What cli/verify-manifest.ts leaves as the termination message of the container `verify`. */
export const verifiedMessage = z.object({
  manifestSha256: sha256,
  verificationRoot: bytes32.optional(),
  quantization: z.string().max(40).optional(),
  probe: z.object({ inputHex: hexBytes, outputHex: hexBytes }).optional(),
  files: z.number().int(),
  bytes: z.number().int(),
});

/** What the pods agree on: the files, and for integer models one expected answer per pod. */
export interface Verified {
  readonly verificationRoot: Hex | undefined;
  readonly quantization: string | undefined;
  readonly probes: readonly { readonly inputHex: Hex; readonly outputHex: Hex }[];
}

const failedMessage = z.object({ error: z.string().max(2000), file: z.string().max(600).optional() });

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** Pods of the template that is wanted now. */
export const currentPods = (o: Observed, template: string): readonly ObservedPod[] =>
  o.workload.pods.filter((pod) => pod.template === template && !pod.deleting);

export const place = (o: Observed, object: ModelProvider): Finding => {
  const count = acceleratorCount(object);
  if (count === 0) return holds('Placed', 'NoAcceleratorNeeded', 'no accelerator is asked for');
  const name = object.spec.poolRef?.name ?? '';
  if (o.pool === undefined) {
    return fails(
      'Placed',
      'PoolNotFound',
      `spec.poolRef.name: there is no GPUNodePool "${name}"; create it (kubectl get gpunodepools lists those there are)`,
    );
  }
  const bound = o.workload.pods.filter((pod) => pod.nodeName !== undefined && !pod.deleting).length;
  const missing = Math.max(0, object.spec.replicas - bound);
  const free = o.pool.status?.accelerators?.free;
  if (missing === 0) return holds('Placed', 'Placed', `${bound} replicas are bound to nodes of GPUNodePool "${name}"`);
  if (free === undefined) return unknown('Placed', 'PoolNotCounted', `GPUNodePool "${name}" has not been counted yet`);
  // A pod binds at most what one node has free; the scheduler has the last word, and its message shows in WorkloadReady.
  if (free < missing * count) {
    return fails(
      'Placed',
      'InsufficientAccelerators',
      `GPUNodePool "${name}" has ${free} free ${o.pool.spec.accelerator.resourceName}, ${missing * count} more are needed; add nodes or lower spec.replicas`,
    );
  }
  return holds(
    'Placed',
    'Placing',
    `GPUNodePool "${name}" has ${free} free ${o.pool.spec.accelerator.resourceName} for the ${missing * count} that are needed`,
  );
};

export type Verification = { readonly finding: Finding; readonly verified?: Verified };

/** Reads the termination messages of `verify`: every pod hashes every byte that it is going to load. */
export const verify = (o: Observed, object: ModelProvider, template: string): Verification => {
  const type = 'ManifestVerified';
  const expected = object.spec.model.manifest.sha256;
  const messages: z.output<typeof verifiedMessage>[] = [];
  for (const pod of currentPods(o, template)) {
    if (pod.verify === undefined) continue;
    if (pod.verify.exitCode !== 0) {
      const failed = failedMessage.safeParse(parseJson(pod.verify.message));
      const detail = failed.success
        ? `${failed.data.file === undefined ? '' : `${failed.data.file}: `}${failed.data.error}`
        : `verify ended with ${pod.verify.exitCode}`;
      return {
        finding: fails(
          type,
          'ManifestMismatch',
          `pod ${pod.name}: ${detail}; put the files that the manifest ${expected} names into the source, or correct spec.model.manifest.sha256 in a new ModelProvider`,
        ),
      };
    }
    const parsed = verifiedMessage.safeParse(parseJson(pod.verify.message));
    if (!parsed.success || parsed.data.manifestSha256 !== expected) {
      return {
        finding: fails(
          type,
          'ManifestMismatch',
          `pod ${pod.name}: the message of verify does not confirm manifest ${expected}; use the operator's own image for verify`,
        ),
      };
    }
    messages.push(parsed.data);
  }
  const first = messages[0];
  if (first !== undefined) {
    return {
      finding: holds(type, 'Verified', `${first.files} files, ${first.bytes} bytes match manifest ${expected}`),
      verified: {
        verificationRoot: first.verificationRoot,
        quantization: first.quantization,
        probes: messages.flatMap(({ probe }) => (probe === undefined ? [] : [probe])),
      },
    };
  }
  const waiting = unknown(type, 'WaitingForPod', 'no pod has hashed the files yet');
  return { finding: object.spec.replicas === 0 ? asBefore(object, waiting) : waiting };
};

/** Whether as many pods as wanted are available, in the form that is wanted now. */
export const workloadReady = (o: Observed, object: ModelProvider, template: string): Finding => {
  const type = 'WorkloadReady';
  const { deployment } = o.workload;
  const wanted = object.spec.replicas;
  if (deployment === undefined || deployment.template !== template || !deployment.observed) {
    return fails(type, 'Progressing', 'the Deployment is being brought to the wanted state');
  }
  if (wanted === 0) return holds(type, 'ScaledToZero', 'no replica is wanted');
  const ready = Math.min(deployment.available, deployment.updated);
  if (ready >= wanted) return holds(type, 'Available', `${ready} of ${wanted} replicas are available`);
  const pods = currentPods(o, template);
  const waiting = pods.find((pod) => pod.waiting !== undefined);
  const why = waiting === undefined ? '' : `; pod ${waiting.name}: ${waiting.waiting}`;
  return ready > 0
    ? holds(type, 'PartlyAvailable', `${ready} of ${wanted} replicas are available${why}`)
    : fails(type, 'NotAvailable', `0 of ${wanted} replicas are available${why}`);
};
