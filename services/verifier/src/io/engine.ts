import { Agent, request } from 'undici';

import { EngineAway, EngineRefused } from '../loops/ports.ts';
import type { ChatEngine } from '../loops/ports.ts';

/** A long answer on a busy CPU. */
const TIMEOUT_MS = 300_000;
const MAX_ANSWER_BYTES = 16 << 20;

/** One connection: the verifier asks one question at a time. */
export const chatEngine = (baseUrl: string): ChatEngine & AsyncDisposable => {
  const agent = new Agent({ connections: 1, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS, maxResponseSize: MAX_ANSWER_BYTES });
  const url = `${baseUrl.replace(/\/+$/, '')}/v1/chat/completions`;
  return {
    async complete(body) {
      const { status, text } = await ask(agent, url, JSON.stringify(body));
      if (status === 429 || status >= 500) throw new EngineAway(`our engine answered with status ${status}`);
      if (status !== 200) throw new EngineRefused(`our engine refused the request with status ${status}`);
      try {
        return JSON.parse(text) as unknown;
      } catch (cause) {
        throw new EngineAway('our engine answered with something else than JSON', { cause });
      }
    },
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
};

const ask = async (agent: Agent, url: string, body: string): Promise<{ status: number; text: string }> => {
  try {
    const answer = await request(url, { dispatcher: agent, method: 'POST', headers: { 'content-type': 'application/json' }, body });
    return { status: answer.statusCode, text: await answer.body.text() };
  } catch (cause) {
    throw new EngineAway(`our engine at ${new URL(url).host} could not be asked`, { cause });
  }
};
