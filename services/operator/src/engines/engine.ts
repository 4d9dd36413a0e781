import type { EngineType } from '@cupel/protocol/crd/model-provider';
import type { Mode } from '@cupel/protocol/wire/projections';

export interface EnvVar {
  readonly name: string;
  readonly value: string;
}

export interface HttpProbe {
  readonly path: string;
}

/** What the operator knows of one kind of model server: services/operator/README.md, "Engine contract". */
export interface EngineAdapter {
  readonly type: EngineType;
  /** Modes whose wire protocol the engine speaks. */
  readonly modes: readonly Mode[];
  /** Default image, by the operator's configuration; undefined: spec.engine.image is required. */
  image(images: Images): string | undefined;
  /** How the default image is started; undefined: by its own entry point, as is an image of the user's. */
  readonly command?: readonly string[];
  env(): readonly EnvVar[];
  probes(mode: Mode): { readonly ready: HttpProbe; readonly live: HttpProbe };
}

/** Images from the operator's configuration; empty: none. */
export interface Images {
  readonly engines: { readonly LlamaCpp: string; readonly Integer: string };
  /** The cupel image: it carries cli/verify-manifest.ts and the integer engine. */
  readonly verify: string;
}

/** An engine of an integer model speaks the Open Inference Protocol, every other one OpenAI's. */
export const protocolOf = (mode: Mode): 'chat' | 'integer' => (mode === 'IntegerExecution' ? 'integer' : 'chat');

export const OPEN_INFERENCE_PROBES = { ready: { path: '/v2/health/ready' }, live: { path: '/v2/health/live' } } as const;
export const OPENAI_PROBES = { ready: { path: '/health' }, live: { path: '/health' } } as const;
