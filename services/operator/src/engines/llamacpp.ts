import { OPENAI_PROBES } from './engine.ts';
import type { EngineAdapter } from './engine.ts';

/** Where the container `verify` links the first *.gguf of the manifest: its path is known only once the manifest has been read. */
export const GGUF_LINK = '/run/cupel/model.gguf';

/** llama.cpp's own HTTP server. */
export const llamaCpp: EngineAdapter = {
  type: 'LlamaCpp',
  modes: ['None', 'Replay'],
  image: ({ engines }) => engines.LlamaCpp || undefined,
  env: () => [{ name: 'MODEL', value: GGUF_LINK }],
  probes: () => OPENAI_PROBES,
};
