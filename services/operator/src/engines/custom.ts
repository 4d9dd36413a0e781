import { GGUF_LINK } from './llamacpp.ts';
import { OPEN_INFERENCE_PROBES, OPENAI_PROBES, protocolOf } from './engine.ts';
import type { EngineAdapter } from './engine.ts';

/** Any image that keeps the engine contract; the mode says which protocol it must speak. */
export const custom: EngineAdapter = {
  type: 'Custom',
  modes: ['None', 'Replay', 'IntegerExecution'],
  image: () => undefined,
  env: () => [{ name: 'MODEL', value: GGUF_LINK }],
  probes: (mode) => (protocolOf(mode) === 'integer' ? OPEN_INFERENCE_PROBES : OPENAI_PROBES),
};
