import { bytesToHex, hexToBytes } from '@cupel/protocol/hex';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import type { ProbeRequest, ProbeValue } from '@cupel/protocol/wire/bus';
import { z } from 'zod';

import { inferBody, inferOutput } from '../admit/infer-request.ts';
import { addressOf } from '../stream/address.ts';
import { usageOf } from '../stream/chat-events.ts';
import { fetchWhole, UpstreamError } from '../stream/exchange.ts';
import type { WholeAnswer } from '../stream/exchange.ts';
import type { EdgeDeps } from './deps.ts';

const PROBE_TIMEOUT_MS = 60_000;
const MOST_BYTES = 1_048_576;

const chatAnswer = z.looseObject({ choices: z.array(z.looseObject({ message: z.looseObject({ content: z.string() }) })).min(1) });

/** The operator cannot open an engine's Service, so it asks the edge to ask. Costs nobody anything. */
export const probe = async (deps: Pick<EdgeDeps, 'upstream' | 'clock'>, request: ProbeRequest): Promise<ProbeValue | Refusal> => {
  const startedMs = deps.clock.nowMs();
  const latency = (): number => deps.clock.nowMs() - startedMs;
  if (request.kind === 'integer') {
    if (request.input === undefined) return refuse('invalid_field', 'a probe of an integer model needs input bytes', { param: 'input' });
    const answer = await ask(
      deps,
      request,
      `/v2/models/${encodeURIComponent(request.publicName)}/infer`,
      inferBody(hexToBytes(request.input)),
    );
    if ('reason' in answer) return answer;
    const output = inferOutput(answer.body);
    return output ? { output: bytesToHex(output), latencyMs: latency() } : refuse('engine_failed', 'the engine gave no UINT8 tensor');
  }
  const chat = { model: request.publicName, messages: [{ role: 'user', content: 'Say hello.' }], max_tokens: 8, temperature: 0, seed: 1 };
  const answer = await ask(deps, request, '/v1/chat/completions', JSON.stringify(chat));
  if ('reason' in answer) return answer;
  let json: unknown;
  try {
    json = JSON.parse(answer.body.toString('utf8'));
  } catch {
    return refuse('engine_failed', 'the engine did not answer with JSON');
  }
  const parsed = chatAnswer.safeParse(json);
  const usage = usageOf(json);
  if (!parsed.success || !usage) return refuse('engine_failed', 'the engine gave no chat answer with its usage');
  return {
    text: parsed.data.choices[0]!.message.content,
    promptTokens: usage.promptTokens,
    completionTokens: usage.completionTokens,
    latencyMs: latency(),
  };
};

const ask = async (deps: Pick<EdgeDeps, 'upstream'>, request: ProbeRequest, path: string, body: string): Promise<WholeAnswer | Refusal> => {
  const { origin, base } = addressOf(request.url);
  try {
    const answer = await fetchWhole(
      deps.upstream,
      {
        origin,
        path: base + path,
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body: Buffer.from(body),
        headersTimeoutMs: PROBE_TIMEOUT_MS,
        idleTimeoutMs: PROBE_TIMEOUT_MS,
      },
      MOST_BYTES,
    );
    if (answer.status === 200) return answer;
    return refuse('engine_failed', `the engine answered the probe with status ${answer.status}: ${answer.body.toString('utf8', 0, 200)}`);
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    return refuse('engine_failed', `the engine did not answer the probe (${error.kind})`);
  }
};
