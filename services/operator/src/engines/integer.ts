import { OPEN_INFERENCE_PROBES } from './engine.ts';
import type { EngineAdapter } from './engine.ts';

/** services/integer-engine, which is part of the cupel image. */
export const integer: EngineAdapter = {
  type: 'Integer',
  modes: ['IntegerExecution'],
  image: ({ engines, verify }) => engines.Integer || verify,
  command: ['node', 'services/integer-engine/src/main.ts'],
  env: () => [],
  probes: () => OPEN_INFERENCE_PROBES,
};
