import type { AllowedNamespaces } from '@cupel/protocol/crd/fields';
import type { GpuNodePool, Market, ModelProvider } from '@cupel/protocol/crd/objects';
import { AmountError, formatDecimal, parseDecimal } from '@cupel/protocol/money';
import type { BaseUnits, Prices } from '@cupel/protocol/money';

import type { Images } from '../../engines/engine.ts';
import { engineOf, unsupported } from '../../engines/supported.ts';
import { asBefore, fails, holds, unknown } from './findings.ts';
import type { ChainEntry, Observed } from './observed.ts';
import { selects } from './placement.ts';
import type { Finding } from './plan.ts';
import { acceleratorCount } from './render.ts';
import { readPodTemplate } from './pod-template.ts';

const TYPE = 'Accepted';

/** Whether the operator may act on this object at all: the rules of the spec, tenancy, keys. Until it is True nothing is created. */
export const accept = (o: Observed, object: ModelProvider, images: Images): Finding => {
  const { spec } = object;
  const cannot = unsupported(spec);
  if (cannot) return fails(TYPE, cannot.reason, cannot.message);
  if (spec.engine.image === undefined && engineOf(spec.engine.type)?.image(images) === undefined) {
    return fails(
      TYPE,
      'EngineImageMissing',
      `spec.engine.image: this operator has no default image for ${spec.engine.type}; name one, or set operator.engineImages.${spec.engine.type} of charts/cupel`,
    );
  }
  const template = readPodTemplate(spec.podTemplate);
  if (!template.ok) return fails(TYPE, 'ForbiddenPodTemplateField', template.message);
  return (
    acceptMarket(o, object) ??
    acceptPool(o, object) ??
    acceptKey(o, object) ??
    acceptOnChain(o, object) ??
    holds(TYPE, 'Accepted', 'the spec is accepted')
  );
};

const acceptMarket = (o: Observed, object: ModelProvider): Finding | undefined => {
  const { name } = object.spec.marketRef;
  if (o.market === undefined) {
    return fails(
      TYPE,
      'MarketNotFound',
      `spec.marketRef.name: there is no Market "${name}"; create it (kubectl get markets lists those there are)`,
    );
  }
  if (!allows(o.market.spec.allowedNamespaces, o.ownNamespace.labels)) return notAllowed('Market', o.market, o.namespace);
  const ready = o.market.status?.conditions?.find((condition) => condition.type === 'Ready');
  if (ready?.status === 'True') return undefined;
  if (ready === undefined) return unknown(TYPE, 'MarketNotChecked', `Market "${name}" has not been checked yet`);
  const found = fails(TYPE, 'MarketNotReady', `Market "${name}" is not ready: ${ready.message}`);
  // A chain that is away for a while does not make a running model unacceptable.
  return ready.reason === 'Unreachable' ? asBefore(object, { ...found, status: 'Unknown' }) : found;
};

const acceptPool = (o: Observed, object: ModelProvider): Finding | undefined =>
  acceleratorCount(object) > 0 && o.pool !== undefined && !allows(o.pool.spec.allowedNamespaces, o.ownNamespace.labels)
    ? notAllowed('GPUNodePool', o.pool, o.namespace)
    : undefined;

const acceptKey = (o: Observed, object: ModelProvider): Finding | undefined => {
  const { name, key } = object.spec.identity.operatorKeyRef;
  switch (o.key.state) {
    case 'missing':
      return fails(
        TYPE,
        'KeySecretNotFound',
        `spec.identity.operatorKeyRef: ${o.key.message}; create Secret "${name}" with key "${key}" in namespace ${o.namespace}`,
      );
    case 'invalid':
      return fails(TYPE, 'KeySecretInvalid', `spec.identity.operatorKeyRef: key "${key}" of Secret "${name}": ${o.key.message}`);
    case 'present':
      return undefined;
  }
};

const ZERO = `0x${'00'.repeat(20)}`;

const acceptOnChain = (o: Observed, object: ModelProvider): Finding | undefined => {
  if (o.chain.state !== 'read') {
    const why = o.chain.state === 'unreachable' ? o.chain.message : 'it has not been asked yet';
    return asBefore(object, unknown(TYPE, 'ChainUnreachable', `the chain cannot be read: ${why}`));
  }
  if (o.key.state !== 'present') return undefined;
  const { provider } = o.chain;
  const { ownerAddress, payoutAddress } = object.spec.identity;
  const call = `from ${ownerAddress} call ModelRegistry.setProvider(${o.key.address}, ${payoutAddress})`;
  if (provider.operator === ZERO) {
    return fails(TYPE, 'ProviderNotSet', `spec.identity.ownerAddress ${ownerAddress} has no provider entry on chain; ${call}`);
  }
  if (provider.operator !== o.key.address) {
    return fails(
      TYPE,
      'OperatorNotAuthorized',
      `the key in spec.identity.operatorKeyRef is ${o.key.address}, but ${ownerAddress} names ${provider.operator} as its operator; ${call}, or put that operator's key into the Secret`,
    );
  }
  if (provider.payout !== payoutAddress.toLowerCase()) {
    return fails(
      TYPE,
      'PayoutMismatch',
      `spec.identity.payoutAddress is ${payoutAddress}, but on chain ${ownerAddress} pays out to ${provider.payout}; ${call}`,
    );
  }
  const amounts = amountsOf(object, o.chain);
  if (!amounts.ok) return fails(TYPE, 'InvalidAmount', amounts.message);
  if (amounts.stake < o.chain.minStake) {
    return fails(
      TYPE,
      'StakeTooSmall',
      `spec.stake.amount ${object.spec.stake.amount} is below the vault's minimum; ask for at least ${formatDecimal(o.chain.minStake, o.chain.decimals.stake)}`,
    );
  }
  return undefined;
};

export type Amounts =
  | { readonly ok: true; readonly prices: Prices; readonly stake: BaseUnits }
  | { readonly ok: false; readonly message: string };

/** The decimal strings of the spec in base units of their tokens. */
export const amountsOf = (object: ModelProvider, chain: Pick<ChainEntry, 'decimals'>): Amounts => {
  const { pricing, stake } = object.spec;
  const read = (field: string, text: string, decimals: number): BaseUnits => {
    try {
      return parseDecimal(text, decimals);
    } catch (error) {
      if (error instanceof AmountError) throw new AmountError(`${field}: ${error.message}; shorten it`, text);
      throw error;
    }
  };
  try {
    const price = (field: keyof typeof pricing): BaseUnits => read(`spec.pricing.${field}`, pricing[field], chain.decimals.payment);
    return {
      ok: true,
      prices: {
        inputPerMillion: price('inputPerMillionTokens'),
        outputPerMillion: price('outputPerMillionTokens'),
        perRequest: price('perRequest'),
      },
      stake: read('spec.stake.amount', stake.amount, chain.decimals.stake),
    };
  } catch (error) {
    if (error instanceof AmountError) return { ok: false, message: error.message };
    throw error;
  }
};

const allows = (allowed: AllowedNamespaces, labels: Readonly<Record<string, string>>): boolean => {
  switch (allowed.from) {
    case 'All':
      return true;
    case 'None':
      return false;
    case 'Selector':
      return allowed.selector !== undefined && selects(allowed.selector, labels);
  }
};

const notAllowed = (kind: string, object: Market | GpuNodePool, namespace: string): Finding =>
  fails(
    TYPE,
    'NamespaceNotAllowed',
    `${kind} "${object.metadata.name}" does not admit namespace ${namespace}; ask its owner to change spec.allowedNamespaces or to label the namespace`,
  );
