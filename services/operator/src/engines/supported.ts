import type { EngineType, ModelProviderSpec } from '@cupel/protocol/crd/model-provider';
import type { Mode } from '@cupel/protocol/wire/projections';

import { custom } from './custom.ts';
import type { EngineAdapter } from './engine.ts';
import { integer } from './integer.ts';
import { llamaCpp } from './llamacpp.ts';

const ENGINES: Partial<Record<EngineType, EngineAdapter>> = { LlamaCpp: llamaCpp, Integer: integer, Custom: custom };

export const SUPPORTED_ENGINES = Object.keys(ENGINES);
export const SUPPORTED_MODES: readonly Mode[] = ['None', 'Replay', 'IntegerExecution'];
export const SUPPORTED_SOURCES = ['pvc'] as const;

export interface Unsupported {
  readonly reason: 'UnsupportedEngine' | 'UnsupportedSource' | 'UnsupportedMode';
  readonly message: string;
}

export const engineOf = (type: EngineType): EngineAdapter | undefined => ENGINES[type];

/** What this operator cannot do yet, as a refusal that lists what it can. */
export const unsupported = (spec: ModelProviderSpec): Unsupported | undefined => {
  const adapter = engineOf(spec.engine.type);
  if (adapter === undefined) {
    return {
      reason: 'UnsupportedEngine',
      message: `spec.engine.type ${spec.engine.type} is not supported by this operator; use one of ${SUPPORTED_ENGINES.join(', ')}`,
    };
  }
  const source = Object.keys(spec.model.source).find((kind) => !SUPPORTED_SOURCES.some((known) => known === kind));
  if (source !== undefined || spec.model.source.pvc === undefined) {
    return {
      reason: 'UnsupportedSource',
      message: `spec.model.source.${source ?? '(none)'} is not supported by this operator; use one of ${SUPPORTED_SOURCES.join(', ')}`,
    };
  }
  const { mode } = spec.verification;
  if (!SUPPORTED_MODES.includes(mode)) {
    return {
      reason: 'UnsupportedMode',
      message: `spec.verification.mode ${mode} is not supported by this operator; use one of ${SUPPORTED_MODES.join(', ')}`,
    };
  }
  if (!adapter.modes.includes(mode)) {
    return {
      reason: 'UnsupportedMode',
      message:
        `spec.verification.mode ${mode} does not go with spec.engine.type ${spec.engine.type}, which supports ${adapter.modes.join(', ')}; ` +
        `change one of the two`,
    };
  }
  return undefined;
};
