import { z } from 'zod';

import type { AnswerParams } from '@cupel/protocol/wire/receipt';

import type { ChatAnswer } from '../judge/chat.ts';

/** Bytes that are no chat request or answer. */
export class ReplayError extends Error {
  override readonly name = 'ReplayError';
}

/** What streams add to a request; an answer in one piece has the same text. */
const STREAM_FIELDS = ['stream', 'stream_options'];

/**
 * The request for our own engine: the client's, with the seed and the limit of the signed parameters, in one piece. Throws
 * {@link ReplayError} when the kept bytes are no JSON object.
 */
export const replayRequest = (input: Uint8Array, params: AnswerParams): Readonly<Record<string, unknown>> => {
  const body = parseObject(input, 'the kept request');
  const rest = Object.entries(body).filter(([name]) => !STREAM_FIELDS.includes(name));
  const limit =
    'max_tokens' in body || 'max_completion_tokens' in body || params.max_tokens === undefined ? {} : { max_tokens: params.max_tokens };
  return { ...Object.fromEntries(rest), ...limit, ...(params.seed !== undefined && { seed: params.seed }), stream: false };
};

const toolCall = z.looseObject({
  index: z.number().int().optional(),
  function: z.looseObject({ name: z.string().nullish(), arguments: z.string().nullish() }).optional(),
});
const message = z.looseObject({
  content: z.string().nullish(),
  reasoning_content: z.string().nullish(),
  refusal: z.string().nullish(),
  tool_calls: z.array(toolCall).nullish(),
});
const choice = z.looseObject({
  index: z.number().int().default(0),
  finish_reason: z.string().nullish(),
  message: message.nullish(),
  delta: message.nullish(),
});
const completion = z.looseObject({
  choices: z.array(choice),
  usage: z.looseObject({ prompt_tokens: z.number().int().min(0), completion_tokens: z.number().int().min(0) }).nullish(),
});

/** Our own engine's answer. Throws {@link ReplayError} without a choice or usage. */
export const readOwnAnswer = (json: unknown): ChatAnswer & { readonly promptTokens: number; readonly completionTokens: number } => {
  const parsed = completion.safeParse(json);
  if (!parsed.success || !parsed.data.usage) throw new ReplayError('our engine gave no chat completion with usage');
  const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = parsed.data.usage;
  return { ...collect([parsed.data]), promptTokens, completionTokens };
};

/** Delivered bytes: one JSON object, or the events of a stream. Throws {@link ReplayError}. */
export const readDelivered = (output: Uint8Array, streamed: boolean): ChatAnswer => {
  const pieces = streamed ? eventsOf(output) : [parseObject(output, 'the kept answer')];
  return collect(
    pieces.flatMap((piece) => {
      const parsed = completion.safeParse(piece);
      return parsed.success ? [parsed.data] : [];
    }),
  );
};

const eventsOf = (bytes: Uint8Array): unknown[] =>
  new TextDecoder()
    .decode(bytes)
    .split(/\r?\n\r?\n/)
    .flatMap((event) => {
      const lines = event.split(/\r?\n/).filter((line) => line.startsWith('data:'));
      const data = lines.map((line) => line.slice(line[5] === ' ' ? 6 : 5)).join('\n');
      try {
        return [JSON.parse(data) as unknown];
      } catch {
        return [];
      }
    });

/** One text of everything that the model said, so that two answers can be compared: by choice, reasoning first, then content, then calls. */
const collect = (pieces: readonly z.output<typeof completion>[]): ChatAnswer => {
  const said = new Map<number, { reasoning: string; content: string; calls: Map<number, string> }>();
  let finishReason: string | undefined;
  for (const { index, finish_reason: reason, message: whole, delta } of pieces.flatMap((p) => p.choices)) {
    const part = whole ?? delta;
    const so = said.get(index) ?? { reasoning: '', content: '', calls: new Map<number, string>() };
    so.reasoning += part?.reasoning_content ?? '';
    so.content += `${part?.content ?? ''}${part?.refusal ?? ''}`;
    for (const [i, call] of (part?.tool_calls ?? []).entries()) {
      const at = call.index ?? i;
      so.calls.set(at, `${so.calls.get(at) ?? ''}${call.function?.name ?? ''}${call.function?.arguments ?? ''}`);
    }
    said.set(index, so);
    finishReason = reason ?? finishReason;
  }
  const text = [...said].toSorted(([a], [b]) => a - b).map(([, s]) => s.reasoning + s.content + [...s.calls.values()].join(''));
  return { text: text.join('\u0000'), finishReason };
};

const parseObject = (bytes: Uint8Array, what: string): Readonly<Record<string, unknown>> => {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new ReplayError(`${what} is not JSON`);
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new ReplayError(`${what} is no JSON object`);
  return json as Readonly<Record<string, unknown>>;
};
