import type { Condition } from '@cupel/protocol/crd/fields';
import type { ModelProvider } from '@cupel/protocol/crd/objects';

import type { AbnormalType, ConditionType, Finding } from './plan.ts';

export const holds = (type: ConditionType | AbnormalType, reason: string, message: string): Finding => ({
  type,
  status: 'True',
  reason,
  message,
});
export const fails = (type: ConditionType, reason: string, message: string): Finding => ({ type, status: 'False', reason, message });
export const unknown = (type: ConditionType, reason: string, message: string): Finding => ({ type, status: 'Unknown', reason, message });

export const conditionOf = (object: ModelProvider | undefined, type: string): Condition | undefined =>
  object?.status?.conditions?.find((condition) => condition.type === type);

/** What was found before, when it cannot be looked at now; `otherwise` when there is nothing. */
export const asBefore = (object: ModelProvider, otherwise: Finding): Finding => {
  const before = conditionOf(object, otherwise.type);
  return before === undefined || before.status === 'Unknown'
    ? otherwise
    : { type: otherwise.type, status: before.status, reason: before.reason, message: before.message };
};

/**
 * Reasons that only people, or something outside of the operator, can remove: such an object is Stalled. Everything else is on its way
 * (Reconciling).
 */
const STALLING: readonly string[] = [
  'InvalidSpec',
  'UnsupportedEngine',
  'UnsupportedSource',
  'UnsupportedMode',
  'EngineImageMissing',
  'ForbiddenPodTemplateField',
  'InvalidAmount',
  'StakeTooSmall',
  'MarketNotFound',
  'MarketNotReady',
  'NamespaceNotAllowed',
  'KeySecretNotFound',
  'KeySecretInvalid',
  'ProviderNotSet',
  'OperatorNotAuthorized',
  'PayoutMismatch',
  'PoolNotFound',
  'InsufficientAccelerators',
  'ManifestMismatch',
  'WrongAnswer',
  'AwaitingApproval',
  'Retired',
  'OutOfGas',
  'InsufficientStakeToken',
  'InsufficientPaymentToken',
  'TransactionReverted',
  'Slashed',
  'KeyMissing',
  'ChainUnreachable',
];

export const stalls = (reason: string): boolean => STALLING.includes(reason);
