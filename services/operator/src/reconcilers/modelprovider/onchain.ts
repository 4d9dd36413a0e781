import type { ModelProvider } from '@cupel/protocol/crd/objects';
import { ANNOTATION_APPROVED } from '@cupel/protocol/crd/definition';
import type { Hex } from '@cupel/protocol/hex';
import { formatDecimal } from '@cupel/protocol/money';
import type { Prices } from '@cupel/protocol/money';
import type { Engine } from '@cupel/protocol/wire/bus';

import { protocolOf } from '../../engines/engine.ts';
import { asBefore, fails, holds, unknown } from './findings.ts';
import type { ChainEntry, Observed } from './observed.ts';
import type { Action, Finding, Terms } from './plan.ts';
import { engineUrl } from './render.ts';
import type { Verified } from './workload.ts';
import { amountsOf } from './accept.ts';

const ZERO_ROOT: Hex = `0x${'00'.repeat(32)}`;

/** What the version on chain must say, or the refusal: an integer model has a root that the pod itself computed. */
const termsOf = (object: ModelProvider, verified: Verified | undefined): Terms | undefined => {
  const { mode } = object.spec.verification;
  const verificationRoot = mode === 'IntegerExecution' ? verified?.verificationRoot : ZERO_ROOT;
  return verificationRoot === undefined ? undefined : { manifestHash: `0x${object.spec.model.manifest.sha256}`, verificationRoot, mode };
};

const samePrices = (a: Prices, b: Prices): boolean =>
  a.inputPerMillion === b.inputPerMillion && a.outputPerMillion === b.outputPerMillion && a.perRequest === b.perRequest;

const serves = (chain: ChainEntry, object: ModelProvider): boolean =>
  chain.version !== undefined &&
  chain.version.manifestHash === `0x${object.spec.model.manifest.sha256}` &&
  chain.version.mode === object.spec.verification.mode;

/** The chain's root when it is not the one that the pods computed: by it no lie of these weights could be proved, or no truth upheld. */
const otherRoot = (chain: ChainEntry, verified: Verified | undefined): Hex | undefined =>
  chain.version?.mode === 'IntegerExecution' &&
  verified?.verificationRoot !== undefined &&
  chain.version.verificationRoot !== verified.verificationRoot
    ? chain.version.verificationRoot
    : undefined;

const approved = (object: ModelProvider): boolean =>
  object.spec.approval === 'Automatic' || object.metadata.annotations?.[ANNOTATION_APPROVED] === 'true';

export interface ChainStep {
  readonly findings: readonly Finding[];
  readonly actions: readonly Action[];
}

/**
 * Registered, Staked, EndpointPublished: what the chain says, and the transactions that are missing. `clear`: every earlier step is done, so that
 * something may be sent.
 */
export const onChain = (o: Observed, object: ModelProvider, verified: Verified | undefined, clear: boolean): ChainStep => {
  const { chain } = o;
  if (chain.state !== 'read') {
    const why = chain.state === 'unreachable' ? `the chain cannot be read: ${chain.message}` : 'an earlier step is not done';
    return {
      findings: (['Registered', 'Staked', 'EndpointPublished'] as const).map((type) => asBefore(object, unknown(type, 'Waiting', why))),
      actions: [],
    };
  }
  const actions: Action[] = [];
  const registered = register(o, object, chain, verified, clear, actions);
  const staked = stake(o, object, chain, clear, actions);
  return { findings: [registered, staked, publish(o, object, chain, clear, actions)], actions };
};

const register = (
  o: Observed,
  object: ModelProvider,
  chain: ChainEntry,
  verified: Verified | undefined,
  clear: boolean,
  actions: Action[],
): Finding => {
  const type = 'Registered';
  const { model } = chain;
  const amounts = amountsOf(object, chain);
  const terms = termsOf(object, verified);
  const slug = `${o.namespace}/${o.name}`;
  switch (model.status) {
    case 'none': {
      if (!clear || !amounts.ok || terms === undefined) return unknown(type, 'Waiting', 'an earlier step is not done');
      if (!approved(object)) {
        return fails(
          type,
          'AwaitingApproval',
          `spec.approval is Manual; to go on: kubectl annotate modelprovider ${o.name} -n ${o.namespace} ${ANNOTATION_APPROVED}=true`,
        );
      }
      if (chain.balances.native === 0n) return outOfGas(o, type);
      const { specializations = [], endpoint } = object.spec;
      actions.push({
        kind: 'register',
        condition: type,
        id: `register:${o.modelId}`,
        slug,
        terms,
        prices: amounts.prices,
        endpoint: endpoint.url,
        specializations,
      });
      return fails(type, 'Registering', `entry ${slug} is being registered`);
    }
    case 'retired':
      return fails(
        type,
        'Retired',
        `entry ${slug} of ${object.spec.identity.ownerAddress} was retired on chain and cannot come back; create a ModelProvider with another metadata.name`,
      );
    case 'suspended':
      return fails(type, 'Suspended', `entry ${slug} was suspended on chain after ${model.faults} upheld disputes`);
    case 'active': {
      if (!serves(chain, object)) {
        if (clear && terms !== undefined && approved(object)) {
          actions.push({ kind: 'addVersion', condition: type, id: `addVersion:${o.modelId}:${model.latestVersion + 1}`, terms });
        }
        return fails(
          type,
          'OtherVersion',
          `version ${model.latestVersion} on chain is another manifest or mode; a new version is added when the answer has been seen`,
        );
      }
      const root = otherRoot(chain, verified);
      if (root !== undefined) {
        if (clear && terms !== undefined && approved(object)) {
          actions.push({ kind: 'addVersion', condition: type, id: `addVersion:${o.modelId}:${model.latestVersion + 1}`, terms });
        }
        return fails(
          type,
          'OtherRoot',
          `version ${model.latestVersion} on chain has verification root ${root}, but program and weights of the manifest give ${verified?.verificationRoot}; ` +
            'a version with the right root is added (ModelRegistry.addVersion) when the answer has been seen and the spec is approved',
        );
      }
      if (amounts.ok && !samePrices(amounts.prices, chain.prices)) {
        if (clear) {
          actions.push({
            kind: 'setPrices',
            condition: type,
            id: `setPrices:${o.modelId}:${object.metadata.generation}:${priceId(chain.prices)}`,
            prices: amounts.prices,
          });
        }
        return holds(type, 'PricesDiffer', 'registered; the prices on chain are being changed to those of spec.pricing');
      }
      return holds(type, 'Registered', `registered at block ${model.registeredAtBlock} as ${o.modelId}`);
    }
  }
};

const priceId = (p: Prices): string => [p.inputPerMillion, p.outputPerMillion, p.perRequest].join('-');

const outOfGas = (o: Observed, type: 'Registered' | 'Staked'): Finding =>
  fails(
    type,
    'OutOfGas',
    `the operator account ${o.key.state === 'present' ? o.key.address : ''} has no native coin for gas; send it some`,
  );

const stake = (o: Observed, object: ModelProvider, chain: ChainEntry, clear: boolean, actions: Action[]): Finding => {
  const type = 'Staked';
  const amounts = amountsOf(object, chain);
  const { status } = chain.model;
  const has = chain.stake.free + chain.stake.locked;
  if (!amounts.ok) return unknown(type, 'Waiting', 'an earlier step is not done');
  const missingStake = has < amounts.stake ? amounts.stake - has : 0n;
  const missingBond = chain.stake.bond < chain.minBond ? chain.minBond - chain.stake.bond : 0n;
  const { decimals, balances } = chain;
  if (status === 'suspended' || status === 'retired') {
    return fails(
      type,
      status === 'suspended' ? 'Suspended' : 'Retired',
      `${formatDecimal(has, decimals.stake)} of stake are left; nothing more is deposited`,
    );
  }
  if (missingStake === 0n && missingBond === 0n) {
    return holds(
      type,
      'Staked',
      `${formatDecimal(has, decimals.stake)} of stake and a bond of ${formatDecimal(chain.stake.bond, decimals.payment)} are in the vault`,
    );
  }
  const account = o.key.state === 'present' ? o.key.address : '';
  const needs = `${formatDecimal(missingStake, decimals.stake)} of stake and ${formatDecimal(missingBond, decimals.payment)} of bond are missing`;
  if (status === 'none' && !clear) return unknown(type, 'Waiting', 'an earlier step is not done');
  if (!clear) return fails(type, 'Waiting', needs);
  if (balances.stake < missingStake) {
    return fails(
      type,
      'InsufficientStakeToken',
      `${needs}; the operator account ${account} holds ${formatDecimal(balances.stake, decimals.stake)} of the stake token: send it the rest, or deposit for ${o.modelId} from the owner`,
    );
  }
  if (balances.payment < missingBond) {
    return fails(
      type,
      'InsufficientPaymentToken',
      `${needs}; the operator account ${account} holds ${formatDecimal(balances.payment, decimals.payment)} of the payment token: send it the rest, or deposit for ${o.modelId} from the owner`,
    );
  }
  // The id carries what is in the vault, so that a plan made twice from one state is one transaction.
  const id = `deposit:${o.modelId}:${has}:${chain.stake.bond}:${missingStake}:${missingBond}`;
  if (status === 'active') actions.push({ kind: 'deposit', condition: type, id, stake: missingStake, bond: missingBond });
  return fails(type, 'Staking', `${needs}; they are being deposited`);
};

/** What the edge should know of this model now; undefined: nothing. */
export const wantedEngine = (o: Observed, object: ModelProvider, verified: Verified | undefined, draining: boolean): Engine | undefined => {
  if (o.chain.state !== 'read') return o.engine;
  const { version, model, prices } = o.chain;
  if (version === undefined || model.status === 'none' || !serves(o.chain, object) || otherRoot(o.chain, verified) !== undefined) {
    return undefined;
  }
  const quantization = verified?.quantization ?? o.engine?.quantization;
  const outputLength = lengthOf(verified?.probes[0]?.outputHex) ?? o.engine?.outputLength;
  return {
    modelId: o.modelId,
    versionId: version.versionId,
    publicName: object.spec.model.name,
    kind: protocolOf(version.mode),
    url: engineUrl(o.namespace, o.name),
    mode: version.mode,
    prices,
    manifestSha256: object.spec.model.manifest.sha256,
    verificationRoot: version.verificationRoot,
    ...(quantization === undefined ? {} : { quantization }),
    ...(outputLength === undefined ? {} : { outputLength }),
    draining,
  };
};

/** Bytes; undefined for none. */
const lengthOf = (bytes: Hex | undefined): number | undefined =>
  bytes === undefined || bytes === '0x' ? undefined : (bytes.length - 2) / 2;

const publish = (o: Observed, object: ModelProvider, chain: ChainEntry, clear: boolean, actions: Action[]): Finding => {
  const type = 'EndpointPublished';
  const { url } = object.spec.endpoint;
  if (chain.model.status === 'none') return unknown(type, 'Waiting', 'an earlier step is not done');
  if (chain.model.status !== 'active') return fails(type, 'NotActive', `the entry on chain is ${chain.model.status}`);
  if (chain.endpoint !== url) {
    if (clear)
      actions.push({
        kind: 'setEndpoint',
        condition: type,
        id: `setEndpoint:${o.modelId}:${object.metadata.generation}:${chain.endpoint}`,
        url,
      });
    return fails(type, 'Publishing', `the endpoint on chain is ${chain.endpoint}, it is being changed to ${url}`);
  }
  if (o.engine === undefined) return fails(type, 'EdgeNotTold', `edge ${object.spec.edgeRef.name} is being told of the engine`);
  return holds(type, 'Published', `${url} is on chain and edge ${object.spec.edgeRef.name} knows the engine`);
};
