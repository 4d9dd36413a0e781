import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import { answerParams } from '@cupel/protocol/wire/receipt';
import type { AnswerParams } from '@cupel/protocol/wire/receipt';
import { publicName } from '@cupel/protocol/wire/scalars';
import { z } from 'zod';

/** Text alone is priced: bytes of a body bound its tokens, and an image behind a URL would be tokens that no body shows. */
const textPart = z.looseObject({
  type: z.literal('text', 'only text parts are accepted; this gateway serves no images, audio or files'),
  text: z.string(),
});
const content = z.union([z.string(), z.array(textPart).max(2048)], {
  error: 'must be a string or a list of text parts; this gateway serves no images, audio or files',
});

/** What the router reads of `POST /v1/chat/completions`; all other fields pass by as bytes. Source: OpenAI API reference, chat completions. */
const schema = z.looseObject({
  model: publicName,
  messages: z
    .array(z.looseObject({ role: z.string().max(40), content: content.nullish() }))
    .min(1)
    .max(2048),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  seed: z.number().int().min(0).max(0xffff_ffff).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  modalities: z.array(z.literal('text', 'only "text" is served')).max(1).nullish(),
  max_tokens: z.number().int().min(1).max(1_000_000).nullish(),
  max_completion_tokens: z.number().int().min(1).max(1_000_000).nullish(),
  n: z.number().int().min(1).max(16).nullish(),
});

/**
 * OpenAI's own fields. Others are refused as OpenAI refuses them: engines have fields that move an answer between slots or caches, and with
 * those a client could make an honest answer impossible to replay (docs/decisions/0010-llama-cpp-engine.md).
 */
const KNOWN_FIELDS = new Set(
  (
    'audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages metadata modalities model n ' +
    'parallel_tool_calls prediction presence_penalty prompt_cache_key reasoning_effort response_format safety_identifier seed service_tier ' +
    'stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options'
  ).split(' '),
);

/** Engines take this seed for "random": an answer made with it could not be replayed. */
const RANDOM_SEED = 0xffff_ffff;

export interface ChatRequest {
  readonly model: string;
  readonly stream: boolean;
  /** The client wants the usage chunk of a stream for itself. */
  readonly wantsUsage: boolean;
  /** `stream_options` as the client sent it. */
  readonly streamOptions: Readonly<Record<string, unknown>> | undefined;
  /** undefined also where the client asked for a random one. */
  readonly seed: number | undefined;
  readonly temperature: number | undefined;
  readonly topP: number | undefined;
  readonly maxTokens: number | undefined;
  /** `max_tokens` itself was sent: engines that do not know `max_completion_tokens` need it. */
  readonly namesMaxTokens: boolean;
  readonly choices: number;
}

/** Refuses with malformed_json, or with invalid_field and the name of the first wrong field. */
export const parseChatRequest = (body: Uint8Array): ChatRequest | Refusal => {
  const json = parseJsonObject(body);
  if (!json.ok) return json.refusal;
  const parsed = schema.safeParse(json.value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const param = issue?.path.map(String).join('.') ?? '';
    return refuse('invalid_field', `"${param}": ${issue?.message ?? 'is not valid'}`, { param });
  }
  const r = parsed.data;
  // Engines differ in which of the two they heed: two limits would be two prices.
  if (typeof r.max_tokens === 'number' && typeof r.max_completion_tokens === 'number' && r.max_tokens !== r.max_completion_tokens) {
    return refuse('invalid_field', '"max_completion_tokens": differs from max_tokens; send one of them', {
      param: 'max_completion_tokens',
    });
  }
  const unknown = Object.keys(r).find((name) => !KNOWN_FIELDS.has(name));
  if (unknown !== undefined) {
    const name = unknown.slice(0, 100);
    return refuse('invalid_field', `Unrecognized request argument supplied: ${name}`, { param: name });
  }
  return {
    model: r.model,
    stream: r.stream ?? false,
    wantsUsage: r.stream_options?.include_usage ?? false,
    streamOptions: r.stream_options ?? undefined,
    seed: r.seed === RANDOM_SEED ? undefined : (r.seed ?? undefined),
    temperature: r.temperature ?? undefined,
    topP: r.top_p ?? undefined,
    maxTokens: r.max_tokens ?? r.max_completion_tokens ?? undefined,
    namesMaxTokens: typeof r.max_tokens === 'number',
    choices: r.n ?? 1,
  };
};

/** The parameters of the answer that the client fixed; a receipt must repeat them. */
export const fixedParams = (request: ChatRequest): AnswerParams =>
  answerParams.parse({
    ...(request.seed === undefined ? {} : { seed: request.seed }),
    ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    ...(request.topP === undefined ? {} : { top_p: request.topP }),
    ...(request.maxTokens === undefined ? {} : { max_tokens: request.maxTokens }),
    stream: request.stream,
  });

type Json = { readonly ok: true; readonly value: object } | { readonly ok: false; readonly refusal: Refusal };

/** Strict UTF-8, one JSON object. */
export const parseJsonObject = (body: Uint8Array): Json => {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    return { ok: false, refusal: refuse('malformed_json', 'the body is not valid JSON') };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { ok: false, refusal: refuse('malformed_json', 'the body is not a JSON object') };
  }
  return { ok: true, value };
};
