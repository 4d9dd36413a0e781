import { z } from 'zod';

/**
 * The fields of skaffold/v4beta13 that skaffold.yaml uses, and no others: a slip of the pen is an unknown key. Read off the published schema
 * (GoogleContainerTools/skaffold, docs-v2/content/en/schemas/v4beta13.json), definitions SkaffoldConfig, BuildConfig, TagPolicy, Artifact,
 * CustomArtifact, CustomDependencies, DeployConfig, LegacyHelmDeploy, HelmRelease, PortForwardResource, Profile and JSONPatch.
 */
const texts = z.record(z.string(), z.string());

const artifact = z.strictObject({
  image: z.string().regex(/^[a-z0-9-]+$/),
  custom: z.strictObject({ buildCommand: z.string(), dependencies: z.strictObject({ paths: z.array(z.string()).min(1) }) }),
});

export const helmRelease = z.strictObject({
  name: z.string(),
  chartPath: z.string(),
  namespace: z.string(),
  createNamespace: z.boolean(),
  skipBuildDependencies: z.boolean(),
  dependsOn: z.array(z.string()).default([]),
  valuesFiles: z.array(z.string()).default([]),
  setValues: texts.default({}),
  setValueTemplates: texts.default({}),
});
export type HelmRelease = z.output<typeof helmRelease>;

export const portForward = z.strictObject({
  resourceType: z.enum(['Service', 'Pod', 'Deployment', 'StatefulSet']),
  resourceName: z.string(),
  namespace: z.string(),
  port: z.number().int(),
  localPort: z.number().int(),
});
export type PortForward = z.output<typeof portForward>;

/** JSONPatch: `op` and `path` as in RFC 6902; only appending to the two lists is used. */
const patch = z.discriminatedUnion('path', [
  z.strictObject({ op: z.literal('add'), path: z.literal('/deploy/helm/releases/-'), value: helmRelease }),
  z.strictObject({ op: z.literal('add'), path: z.literal('/portForward/-'), value: portForward }),
]);

export const skaffoldConfig = z.strictObject({
  apiVersion: z.literal('skaffold/v4beta13'),
  kind: z.literal('Config'),
  metadata: z.strictObject({ name: z.string() }),
  build: z.strictObject({
    tagPolicy: z.strictObject({ inputDigest: z.strictObject({}) }),
    artifacts: z.array(artifact).min(1),
  }),
  deploy: z.strictObject({
    statusCheckDeadlineSeconds: z.number().int(),
    helm: z.strictObject({ releases: z.array(helmRelease).min(1) }),
  }),
  portForward: z.array(portForward),
  profiles: z.array(z.strictObject({ name: z.string(), patches: z.array(patch).min(1) })),
});
