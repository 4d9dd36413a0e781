import type { ProviderAccounts } from './accounts.ts';
import type { Stage } from './install.ts';
import { nodeName } from '../node-config.ts';

/** What an infrastructure team applies: a Market, a pool, and one ModelProvider per model. */
export const market = (stage: Stage) => ({
  apiVersion: 'cupel.dev/v1alpha1',
  kind: 'Market',
  metadata: { name: 'local' },
  spec: {
    chain: { id: stage.chainId, finality: 'Safe' },
    rpc: [{ name: 'anvil', url: stage.rpcUrl }],
    contracts: stage.contracts,
    allowedNamespaces: { from: 'All' },
  },
});

export const gpuPool = {
  apiVersion: 'cupel.dev/v1alpha1',
  kind: 'GPUNodePool',
  metadata: { name: 'simulated' },
  spec: {
    nodeSelector: { matchLabels: { 'kubernetes.io/hostname': nodeName } },
    accelerator: { vendor: 'NVIDIA', resourceName: 'nvidia.com/gpu' },
    allowedNamespaces: { from: 'All' },
  },
};

const identity = (p: ProviderAccounts) => ({
  ownerAddress: p.owner.address,
  operatorKeyRef: { name: 'operator-key', key: 'key' },
  receiptSignerAddress: p.receiptSigner.address,
  payoutAddress: p.payout.address,
});

const provider = (namespace: string, name: string, spec: object) => ({
  apiVersion: 'cupel.dev/v1alpha1',
  kind: 'ModelProvider',
  metadata: { name, namespace },
  spec: {
    marketRef: { name: 'local' },
    edgeRef: { name: 'edge' },
    endpoint: { url: `http://edge.${namespace}.svc.cluster.local` },
    ...spec,
  },
});

const small = { resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '256Mi' } } };

export const assistant = (stage: Stage) =>
  provider('honest', 'assistant', {
    identity: identity(stage.accounts.honest),
    model: {
      name: 'assistant',
      manifest: { sha256: stage.models.assistant.manifestSha256 },
      source: { pvc: { claimName: 'assistant-weights' } },
    },
    engine: { type: 'LlamaCpp' },
    poolRef: { name: 'simulated' },
    accelerator: { count: 1 },
    pricing: { inputPerMillionTokens: '0.2', outputPerMillionTokens: '0.6', perRequest: '0' },
    verification: { mode: 'Replay' },
    stake: { amount: '100' },
  });

const digitsModel = (stage: Stage) => ({
  name: 'digits',
  manifest: { sha256: stage.models.digits.manifestSha256 },
  source: { pvc: { claimName: 'digits-weights' } },
});

export const digits = (stage: Stage) =>
  provider('honest', 'digits', {
    identity: identity(stage.accounts.honest),
    model: digitsModel(stage),
    engine: { type: 'Integer' },
    pricing: { perRequest: '0.001' },
    verification: { mode: 'IntegerExecution' },
    stake: { amount: '100' },
    podTemplate: { spec: { containers: [{ name: 'engine', ...small }] } },
  });

/** The same model by manifest hash, cheaper, and its engine lies in some answers. */
export const digitsCheap = (stage: Stage) =>
  provider('cheat', 'digits-cheap', {
    identity: identity(stage.accounts.cheat),
    model: digitsModel(stage),
    engine: {
      type: 'Custom',
      image: stage.images.lyingEngine,
      env: [
        { name: 'LIE_SEED', value: '7' },
        { name: 'LIE_RATE', value: '0.5' },
        { name: 'LIE_AFTER', value: '3' },
      ],
    },
    pricing: { perRequest: '0.0005' },
    verification: { mode: 'IntegerExecution' },
    stake: { amount: '100' },
    podTemplate: { spec: { containers: [{ name: 'engine', ...small }] } },
  });
