import { z } from 'zod';

import { ageColumn, conditionColumn, shortName } from './definition.ts';
import type { KindDefinition } from './definition.ts';
import {
  allowedNamespaces,
  cel,
  chainAddress,
  conditions,
  free,
  httpUrlText,
  immutable,
  objectName,
  observedGeneration,
  secretKey,
  word,
} from './fields.ts';

const NEW_MARKET = 'new contracts or another chain are a new Market';

const rpcEndpoint = z
  .object({
    name: word(63, /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'Name, for messages and metrics.'),
    url: httpUrlText('JSON-RPC URL; not for URLs with a key in them.').optional(),
    urlSecretRef: z
      .object({ namespace: objectName('Namespace of the Secret.'), name: objectName('Name of the Secret.'), key: secretKey })
      .meta({ description: 'Where the URL is kept when it carries a key. The namespace must be one that the operator watches.' })
      .optional(),
  })
  .meta({
    description: 'A JSON-RPC endpoint.',
    ...cel({ rule: 'has(self.url) != has(self.urlSecretRef)', message: 'rpc needs exactly one of url and urlSecretRef; keep one' }),
  });

export const marketSpec = z
  .object({
    chain: z
      .object({
        id: z
          .number()
          .int()
          .min(1)
          .max(9_007_199_254_740_991)
          .meta({
            description: 'EIP-155 chain id.',
            format: 'int64',
            ...cel(immutable('chain.id', NEW_MARKET)),
          }),
        finality: z.enum(['Safe', 'Finalized', 'Confirmations']).meta({ description: 'Which block counts as settled.' }).default('Safe'),
        confirmations: z
          .number()
          .int()
          .min(1)
          .max(10_000)
          .meta({ description: 'Blocks on top; only with finality: Confirmations.', format: 'int32' })
          .optional(),
      })
      .meta({
        description: 'The payment and dispute chain.',
        ...cel({
          rule: "(self.finality == 'Confirmations') == has(self.confirmations)",
          message: 'chain.confirmations goes with finality: Confirmations, and only with it; set both or neither',
        }),
      }),
    rpc: z
      .array(rpcEndpoint)
      .min(1)
      .max(8)
      .meta({
        description: 'JSON-RPC endpoints, tried in order.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      }),
    contracts: z
      .object({
        stakeToken: chainAddress('CupelToken.'),
        paymentToken: chainAddress('ERC-20 in which prices are.'),
        stakeVault: chainAddress('StakeVault.'),
        modelRegistry: chainAddress('ModelRegistry.'),
        paymentChannels: chainAddress('PaymentChannels.'),
        claimManager: chainAddress('ClaimManager.'),
        disputeManager: chainAddress('DisputeManager.'),
      })
      .meta({ description: 'Addresses.', ...cel(immutable('contracts', NEW_MARKET)) }),
    allowedNamespaces: allowedNamespaces.prefault({ from: 'All' }),
  })
  .meta({ description: 'A chain and the contracts on it.' });

export const marketStatus = z
  .object({
    observedGeneration: observedGeneration.optional(),
    chainId: z.number().int().min(0).meta({ description: 'Chain id that the RPC answers.', format: 'int64' }).optional(),
    codeHashes: z
      .array(z.object({ contract: free(63, 'Name.'), hash: free(66, 'keccak256 of the deployed code.') }))
      .max(16)
      .meta({ description: 'Code at the addresses.', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['contract'] })
      .optional(),
    accounts: z
      .array(
        z.object({
          address: free(42, 'Signing account.'),
          float: z.enum(['Enough', 'Low', 'Empty']).meta({ description: 'Whether its native coin pays for transactions.' }),
        }),
      )
      .max(256)
      .meta({ description: 'Signing accounts of this Market.', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['address'] })
      .optional(),
    conditions: conditions.optional(),
  })
  .meta({ description: 'What is.' });

export const MARKET: KindDefinition = {
  kind: 'Market',
  plural: 'markets',
  singular: 'market',
  shortNames: ['mkt'],
  scope: 'Cluster',
  description: 'A chain with the Cupel contracts on which ModelProviders are sold.',
  spec: marketSpec,
  status: marketStatus,
  rules: [shortName],
  columns: [
    conditionColumn('Ready', 'Ready', 'status', 'Whether the chain and the contracts are as named.'),
    conditionColumn('Reason', 'Ready', 'reason', 'Why, in one word.'),
    { name: 'Chain', type: 'integer', jsonPath: '.spec.chain.id', description: 'Chain id.' },
    { name: 'Finality', type: 'string', jsonPath: '.spec.chain.finality', description: 'Which block counts.' },
    { name: 'Registry', type: 'string', jsonPath: '.spec.contracts.modelRegistry', description: 'ModelRegistry.', priority: 1 },
    ageColumn,
  ],
};

export type MarketSpec = z.output<typeof marketSpec>;
export type MarketStatus = z.output<typeof marketStatus>;
