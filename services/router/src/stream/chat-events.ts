import { z } from 'zod';

/** Tokens as an engine counts them. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

export interface ChatEvent {
  /** content: carries a piece of the answer; usage: the extra chunk of `include_usage`; done: `[DONE]`; other: role, finish reason, comments. */
  readonly kind: 'content' | 'usage' | 'done' | 'error' | 'other';
  readonly usage?: Usage;
}

const usage = z.looseObject({ prompt_tokens: z.number().int().min(0), completion_tokens: z.number().int().min(0) });

/** Usage of a whole answer or a chunk; undefined when there is none that can be read. */
export const usageOf = (json: unknown): Usage | undefined => {
  if (typeof json !== 'object' || json === null || !('usage' in json)) return undefined;
  const parsed = usage.safeParse(json.usage);
  return parsed.success ? { promptTokens: parsed.data.prompt_tokens, completionTokens: parsed.data.completion_tokens } : undefined;
};

/** Reads one whole event of a chat stream. Bytes that make no sense are `other`: they pass by, and count for nothing. */
export const readChatEvent = (event: Uint8Array): ChatEvent => {
  const data = dataOf(Buffer.from(event.buffer, event.byteOffset, event.byteLength).toString('utf8'));
  if (data === undefined) return { kind: 'other' };
  if (data === '[DONE]') return { kind: 'done' };
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch {
    return { kind: 'other' };
  }
  if (typeof json !== 'object' || json === null) return { kind: 'other' };
  if ('error' in json && json.error !== null) return { kind: 'error' };
  const choices = 'choices' in json && Array.isArray(json.choices) ? (json.choices as unknown[]) : [];
  const used = usageOf(json);
  const kind = choices.some(hasContent) ? 'content' : choices.length === 0 && used !== undefined ? 'usage' : 'other';
  return used === undefined ? { kind } : { kind, usage: used };
};

const dataOf = (text: string): string | undefined => {
  const lines = text.split(/\r?\n/);
  const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(line[5] === ' ' ? 6 : 5));
  return data.length === 0 ? undefined : data.join('\n');
};

const CONTENT_FIELDS = ['content', 'reasoning_content', 'reasoning', 'refusal', 'tool_calls', 'function_call'];

const hasContent = (choice: unknown): boolean => {
  if (typeof choice !== 'object' || choice === null || !('delta' in choice)) return false;
  const delta = choice.delta;
  if (typeof delta !== 'object' || delta === null) return false;
  const fields = delta as Record<string, unknown>;
  return CONTENT_FIELDS.some((name) => {
    const value = fields[name];
    return typeof value === 'string' ? value !== '' : value !== undefined && value !== null;
  });
};

/** The terminal event of a stream that was cut: an error in OpenAI's shape, and no `[DONE]`. */
export const errorEvent = (body: object): Buffer => Buffer.from(`data: ${JSON.stringify(body)}\n\n`);
