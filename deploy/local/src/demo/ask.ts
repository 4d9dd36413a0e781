import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import OpenAI from 'openai';

import type { Hex } from '@cupel/protocol/hex';

import { checkoutFolder } from '../config.ts';

/** One answer as the client saw it. */
export interface Answer {
  readonly kind: 'chat' | 'digits';
  readonly receiptId: Hex;
  readonly modelId: Hex;
  readonly inputUnits: bigint;
  readonly outputUnits: bigint;
  readonly streamed: boolean;
  /** Digits: whether the label was right; a wrong label alone is no lie. */
  readonly right?: boolean;
}

export interface Sample {
  readonly label: number;
  readonly pixels: Uint8Array;
}

export const loadSamples = async (): Promise<Sample[]> => {
  const text = await readFile(join(checkoutFolder, 'models/digits/samples.json'), 'utf8');
  const { samples } = JSON.parse(text) as { samples: { label: number; pixels: string }[] };
  return samples.map((s) => ({ label: s.label, pixels: Uint8Array.from(Buffer.from(s.pixels, 'base64')) }));
};

const QUESTIONS = [
  'Say hello in one short sentence.',
  'Name a colour.',
  'What is the capital of France?',
  'Give me a word that rhymes with "light".',
  'How many legs has a spider?',
  'Name a fruit that is yellow.',
  'What do bees make?',
  'Name a planet.',
  'What is two plus two?',
  'Name an animal that can fly.',
];

const headerHex = (headers: Headers, name: string): Hex => {
  const value = headers.get(name);
  if (!value || !/^0x[0-9a-f]{64}$/.test(value)) throw new Error(`the answer carries no ${name}: ${value ?? 'absent'}`);
  return value as Hex;
};

/** Chats number `from` … `from + count − 1` with the unmodified OpenAI client; every second one streams. Two at a time. */
export const askChats = async (
  baseUrl: string,
  apiKey: string,
  from: number,
  count: number,
  note: (text: string) => void,
): Promise<Answer[]> => {
  const client = new OpenAI({ baseURL: baseUrl, apiKey, maxRetries: 2 });
  const answers: Answer[] = [];
  const one = async (n: number): Promise<void> => {
    const messages = [{ role: 'user' as const, content: QUESTIONS[n % QUESTIONS.length]! }];
    const shared = { model: 'assistant', messages, max_tokens: 16, temperature: 0 };
    if (n % 2 === 0) {
      const { data, response } = await client.chat.completions.create(shared).withResponse();
      if (!data.usage || !data.choices[0]?.message.content) throw new Error(`chat ${n}: no content or no usage`);
      answers.push({
        kind: 'chat',
        receiptId: headerHex(response.headers, 'x-cupel-receipt'),
        modelId: headerHex(response.headers, 'x-cupel-provider'),
        inputUnits: BigInt(data.usage.prompt_tokens),
        outputUnits: BigInt(data.usage.completion_tokens),
        streamed: false,
      });
    } else {
      const { data, response } = await client.chat.completions
        .create({ ...shared, stream: true, stream_options: { include_usage: true } })
        .withResponse();
      let usage: { prompt_tokens: number; completion_tokens: number } | undefined;
      let text = '';
      for await (const chunk of data) {
        text += chunk.choices[0]?.delta.content ?? '';
        if (chunk.usage) usage = chunk.usage;
      }
      if (!usage || !text) throw new Error(`chat ${n}: the stream brought no text or no usage`);
      answers.push({
        kind: 'chat',
        receiptId: headerHex(response.headers, 'x-cupel-receipt'),
        modelId: headerHex(response.headers, 'x-cupel-provider'),
        inputUnits: BigInt(usage.prompt_tokens),
        outputUnits: BigInt(usage.completion_tokens),
        streamed: true,
      });
    }
    note(`${answers.length} of ${count}`);
  };
  let next = from;
  await Promise.all(
    [0, 1].map(async () => {
      while (next < from + count) await one(next++);
    }),
  );
  return answers;
};

/** Digits over the Open Inference Protocol, three at once. */
export const askDigits = async (
  baseUrl: string,
  apiKey: string,
  samples: readonly Sample[],
  note: (text: string) => void,
): Promise<Answer[]> => {
  const answers: Answer[] = [];
  const url = `${baseUrl.replace(/\/v1$/, '')}/v2/models/digits/infer`;
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < samples.length) {
      const sample = samples[next++]!;
      const response = await fetch(url, {
        method: 'POST',
        headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ inputs: [{ name: 'input', datatype: 'UINT8', shape: [1, 196], data: [...sample.pixels] }] }),
      });
      if (!response.ok) throw new Error(`digits: ${response.status} ${await response.text()}`);
      const body = (await response.json()) as { outputs: { data: number[] }[] };
      const logits = body.outputs[0]!.data;
      answers.push({
        kind: 'digits',
        receiptId: headerHex(response.headers, 'x-cupel-receipt'),
        modelId: headerHex(response.headers, 'x-cupel-provider'),
        inputUnits: 196n,
        outputUnits: BigInt(logits.length),
        streamed: false,
        right: logits.indexOf(Math.max(...logits)) === sample.label,
      });
      note(`${answers.length} of ${samples.length}`);
    }
  };
  await Promise.all([0, 1, 2].map(worker));
  return answers;
};
