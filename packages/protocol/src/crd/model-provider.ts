import { z } from 'zod';

import { MODES } from '../wire/projections.ts';
import { ageColumn, conditionColumn, shortName } from './definition.ts';
import type { KindDefinition } from './definition.ts';
import {
  cel,
  chainAddress,
  cidText,
  conditions,
  count,
  decimalText,
  free,
  httpUrlText,
  immutable,
  observedGeneration,
  reference,
  secretKeyReference,
  sha256Hex,
  text,
  word,
} from './fields.ts';

export const ENGINE_TYPES = ['VLLM', 'SGLang', 'LlamaCpp', 'Ollama', 'Integer', 'Custom'] as const;
export type EngineType = (typeof ENGINE_TYPES)[number];

const NEW_OBJECT = 'create a new ModelProvider instead';

const source = z
  .object({
    oci: z
      .object({ reference: free(512, 'Image or artifact reference, best with a digest.') })
      .meta({ description: 'An OCI artifact.' })
      .optional(),
    huggingFace: z
      .object({
        repository: word(200, /^[A-Za-z0-9._-]+\/[A-Za-z0-9._-]+$/, 'owner/name.'),
        revision: free(200, 'Commit; branches move.').optional(),
        tokenSecretRef: secretKeyReference('Access token.').optional(),
      })
      .meta({ description: 'A Hugging Face repository.' })
      .optional(),
    s3: z
      .object({
        bucket: free(63, 'Bucket.'),
        key: free(1024, 'Prefix of the objects.'),
        endpoint: httpUrlText('Endpoint of a compatible store.').optional(),
        secretRef: secretKeyReference('Credentials.').optional(),
      })
      .meta({ description: 'An S3 prefix.' })
      .optional(),
    pvc: z
      .object({
        claimName: text(
          253,
          /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/,
          'must be the name of a PersistentVolumeClaim',
          'A claim in this namespace.',
        ),
        path: z
          .string()
          .max(512)
          .meta({
            description: 'Folder inside the volume; empty is its root.',
            ...cel({
              rule: "!self.startsWith('/') && !self.split('/').exists(p, p == '..')",
              message: 'source.pvc.path must be relative and without ".."; name a folder inside the volume',
            }),
          })
          .default(''),
      })
      .meta({ description: 'A PersistentVolumeClaim that already holds the files.' })
      .optional(),
    ipfs: z
      .object({ cid: cidText('CID of the folder.') })
      .meta({ description: 'An IPFS folder.' })
      .optional(),
  })
  .meta({
    description: 'Where the files are; cupel-manifest.json lies at the root. Exactly one.',
    ...cel({
      rule: '[has(self.oci), has(self.huggingFace), has(self.s3), has(self.pvc), has(self.ipfs)].filter(x, x).size() == 1',
      message: 'model.source must have exactly one of oci, huggingFace, s3, pvc, ipfs; keep one',
    }),
  });

const model = z
  .object({
    name: text(
      100,
      /^[A-Za-z0-9][A-Za-z0-9._/-]*$/,
      'model.name must have letters, digits, ".", "_", "/" or "-"',
      'Public name. Never trusted: models are the same only if their manifest hashes are equal.',
    ),
    manifest: z
      .object({
        sha256: sha256Hex("sha256 of cupel-manifest.json's bytes."),
        cid: cidText('CID of cupel-manifest.json.').optional(),
      })
      .meta({ description: 'Which model this is.', ...cel(immutable('model.manifest', `another model is another entry: ${NEW_OBJECT}`)) }),
    source,
  })
  .meta({ description: 'What is served.' });

const identity = z
  .object({
    ownerAddress: chainAddress('Cold key: stake, roles, payout. Never in the cluster.'),
    operatorKeyRef: secretKeyReference('Hot key with which the operator registers, prices and retires.'),
    receiptSignerAddress: chainAddress("The edge's receipt key."),
    payoutAddress: chainAddress('Receives earnings and stake.'),
  })
  .meta({
    description: 'Who stands behind it on chain.',
    ...cel(immutable('identity', `a new identity is a new entry on chain: ${NEW_OBJECT}`)),
  });

const engine = z
  .object({
    type: z.enum(ENGINE_TYPES).meta({ description: 'Which model server.' }),
    image: free(512, "Container image; default: the operator's image of that engine. Required for Custom.").optional(),
    args: z.array(z.string().max(1024)).max(64).meta({ description: 'Further arguments.', 'x-kubernetes-list-type': 'atomic' }).optional(),
    env: z
      .array(z.object({ name: word(128, /^[A-Za-z_][A-Za-z0-9_]*$/, 'Name.'), value: free(4096, 'Value.') }))
      .max(64)
      .meta({ description: 'Further environment.', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
      .optional(),
  })
  .meta({
    description: 'The model server.',
    ...cel({ rule: "self.type != 'Custom' || has(self.image)", message: 'engine.image is required with type: Custom; name the image' }),
  });

const autoscaling = z
  .object({
    minReplicas: count('Lower bound.', 1000),
    maxReplicas: z.number().int().min(1).max(1000).meta({ description: 'Upper bound.', format: 'int32' }),
  })
  .meta({
    description: 'Bounds within which our autoscaler writes spec.replicas.',
    ...cel({
      rule: 'self.minReplicas <= self.maxReplicas',
      message: 'autoscaling.minReplicas must not exceed autoscaling.maxReplicas; raise one or lower the other',
    }),
  });

export const modelProviderSpec = z
  .object({
    marketRef: reference('The Market: chain and contracts.').meta({ ...cel(immutable('marketRef', NEW_OBJECT)) }),
    edgeRef: reference("The edge's release name and Service in this namespace.").meta({ ...cel(immutable('edgeRef', NEW_OBJECT)) }),
    endpoint: z.object({ url: httpUrlText('Public URL of the edge; it goes on chain.') }).meta({ description: 'Where gateways knock.' }),
    identity,
    model,
    engine,
    poolRef: reference('The GPUNodePool; required when accelerator.count > 0.').optional(),
    accelerator: z
      .object({ count: count('Accelerators per replica.', 64).default(0) })
      .meta({ description: 'What each replica needs.' })
      .optional(),
    replicas: count('Replicas wanted: the scale target.', 1000).default(1),
    autoscaling: autoscaling.optional(),
    pricing: z
      .object({
        inputPerMillionTokens: decimalText(18, 'Payment token per 1,000,000 input tokens.').default('0'),
        outputPerMillionTokens: decimalText(18, 'Payment token per 1,000,000 output tokens.').default('0'),
        perRequest: decimalText(18, 'Payment token per request.').default('0'),
      })
      .meta({ description: 'Prices in the payment token.' }),
    verification: z
      .object({ mode: z.enum(MODES).meta({ description: 'How answers are checked.' }).default('None') })
      .meta({
        description: 'How answers are checked and disputed.',
        ...cel(immutable('verification', `the mode belongs to the version on chain: ${NEW_OBJECT}`)),
      })
      .prefault({ mode: 'None' }),
    stake: z
      .object({ amount: decimalText(18, 'Stake token; raising it deposits the difference.') })
      .meta({ description: 'What is at risk.' }),
    approval: z
      .enum(['Automatic', 'Manual'])
      .meta({ description: 'Manual: nothing goes on chain until annotation cupel.dev/approved=true is set.' })
      .default('Automatic'),
    deletionPolicy: z
      .enum(['Retire', 'WaitForUnbonding', 'Orphan'])
      .meta({
        description:
          'Retire: drain, retire on chain, let go. WaitForUnbonding: let go when the stake is out. Orphan: leave the chain alone.',
      })
      .default('Retire'),
    maintenance: z
      .object({
        until: z.string().max(64).meta({ description: 'End of the pause.', format: 'date-time' }),
        reason: free(256, 'Why, for people.').optional(),
      })
      .meta({ description: 'A bounded pause: the edge gives this model nothing new.' })
      .optional(),
    specializations: z
      .array(word(40, /^[a-z0-9][a-z0-9-]*$/, 'A tag.'))
      .max(16)
      .meta({ description: 'What the model is good at; written on chain at registration.', 'x-kubernetes-list-type': 'set' })
      .optional(),
    podTemplate: z
      .record(z.string(), z.unknown())
      .meta({
        description:
          'Additions to the pod, allow-listed: metadata.labels, metadata.annotations, spec.{nodeSelector, affinity, tolerations, ' +
          'topologySpreadConstraints, priorityClassName, runtimeClassName, volumes} and resources, env, volumeMounts of the container "engine".',
        'x-kubernetes-preserve-unknown-fields': true,
      })
      .optional(),
  })
  .meta({
    description: 'What the provider wants.',
    ...cel(
      {
        rule: '!has(self.accelerator) || self.accelerator.count == 0 || has(self.poolRef)',
        message: 'poolRef is required when accelerator.count > 0; name a GPUNodePool',
      },
      {
        rule: '!has(self.autoscaling) || (self.replicas >= self.autoscaling.minReplicas && self.replicas <= self.autoscaling.maxReplicas)',
        message: 'replicas must lie within autoscaling.minReplicas and autoscaling.maxReplicas; change one of them',
      },
      {
        rule: 'has(self.specializations) == has(oldSelf.specializations) && (!has(self.specializations) || self.specializations == oldSelf.specializations)',
        message: `specializations is immutable: it is written on chain at registration; ${NEW_OBJECT}`,
      },
    ),
  });

export const modelProviderStatus = z
  .object({
    observedGeneration: observedGeneration.optional(),
    replicas: count('Pods that exist.').optional(),
    readyReplicas: count('Pods that are ready.').optional(),
    selector: free(1024, 'Label selector of the pods, for /scale.').optional(),
    price: free(200, 'The prices in one line.').optional(),
    endpoint: z
      .object({ url: free(2048, 'URL on chain.') })
      .meta({ description: 'The published endpoint.' })
      .optional(),
    onChain: z
      .object({
        modelId: free(66, 'keccak256(owner, "<namespace>/<name>").'),
        versionId: free(66, 'The version that is served.').optional(),
        stake: free(60, 'Stake token in the vault.').optional(),
        bond: free(60, 'Payment token in the vault, from which victims are refunded.').optional(),
        registeredAtBlock: z.number().int().min(0).meta({ description: 'Block of the registration.', format: 'int64' }).optional(),
      })
      .meta({ description: 'The entry on chain.' })
      .optional(),
    drainingSince: z.string().max(64).meta({ description: 'When draining began.', format: 'date-time' }).optional(),
    conditions: conditions.optional(),
  })
  .meta({ description: 'What is.' });

export const MODEL_PROVIDER: KindDefinition = {
  kind: 'ModelProvider',
  plural: 'modelproviders',
  singular: 'modelprovider',
  shortNames: ['mp'],
  scope: 'Namespaced',
  description: 'A model that a team serves from its own nodes and sells on a Market. Who may create one may create pods in the namespace.',
  spec: modelProviderSpec,
  status: modelProviderStatus,
  rules: [shortName],
  columns: [
    conditionColumn('Ready', 'Ready', 'status', 'Whether it serves and sells.'),
    conditionColumn('Reason', 'Ready', 'reason', 'Why, in one word.'),
    { name: 'Model', type: 'string', jsonPath: '.spec.model.name', description: 'Public name.' },
    { name: 'Engine', type: 'string', jsonPath: '.spec.engine.type', description: 'Model server.' },
    { name: 'Pool', type: 'string', jsonPath: '.spec.poolRef.name', description: 'GPUNodePool.' },
    { name: 'Replicas', type: 'integer', jsonPath: '.status.readyReplicas', description: 'Ready replicas.' },
    { name: 'Price', type: 'string', jsonPath: '.status.price', description: 'Input / output per 1M tokens + per request.' },
    { name: 'Stake', type: 'string', jsonPath: '.status.onChain.stake', description: 'Stake token in the vault.' },
    { name: 'URL', type: 'string', jsonPath: '.status.endpoint.url', description: 'Endpoint on chain.', priority: 1 },
    { name: 'Model-Id', type: 'string', jsonPath: '.status.onChain.modelId', description: 'Id on chain.', priority: 1 },
    ageColumn,
  ],
  scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.status.selector' },
};

export type ModelProviderSpec = z.output<typeof modelProviderSpec>;
export type ModelProviderStatus = z.output<typeof modelProviderStatus>;
