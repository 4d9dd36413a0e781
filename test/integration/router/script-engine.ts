import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface Script {
  /** Content chunks of a stream; one token each. */
  chunks: number;
  paceMs: number;
  /** Before the first byte of the answer. */
  delayMs: number;
  dieBeforeHeaders: boolean;
  dieBeforeContent: boolean;
  /** Destroys the connection after so many content chunks. */
  dieAfter: number | undefined;
  status: number | undefined;
  withUsage: boolean;
}

export interface ScriptEngine extends AsyncDisposable {
  readonly url: string;
  readonly script: Script;
  /** Request bodies as they came. */
  readonly bodies: string[];
  /** Chunks written, and when the last connection was closed by the other side, performance.now(). */
  written: number;
  closedAt: number | undefined;
  running: number;
}

const defaults = (): Script => ({
  chunks: 5,
  paceMs: 0,
  delayMs: 0,
  dieBeforeHeaders: false,
  dieBeforeContent: false,
  dieAfter: undefined,
  status: undefined,
  withUsage: true,
});

/** A model server that does what it is told: OpenAI chat, and inference that returns its input reversed. */
export const startScriptEngine = async (): Promise<ScriptEngine> => {
  const script = defaults();
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    engine.running += 1;
    response.on('close', () => {
      engine.running -= 1;
      if (!response.writableEnded) engine.closedAt = performance.now();
    });
    response.on('error', () => undefined);
    void answer(engine, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const engine: ScriptEngine = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    script,
    bodies,
    written: 0,
    closedAt: undefined,
    running: 0,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return engine;
};

const answer = async (engine: ScriptEngine, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  engine.bodies.push(text);
  const { script } = engine;
  if (script.dieBeforeHeaders) return void response.destroy();
  if (script.delayMs > 0) await delay(script.delayMs);
  if (script.status !== undefined) {
    response.writeHead(script.status, { 'content-type': 'application/json' });
    return void response.end(JSON.stringify({ error: { message: 'the engine says no', type: 'server_error', code: script.status } }));
  }
  const body = JSON.parse(text) as { stream?: boolean; inputs?: { data: number[] }[]; model?: string };
  if (body.inputs) {
    const data = body.inputs[0]!.data.toReversed();
    response.writeHead(200, { 'content-type': 'application/json' });
    return void response.end(
      JSON.stringify({ model_name: 'digits', outputs: [{ name: 'output', datatype: 'UINT8', shape: [1, data.length], data }] }),
    );
  }
  const usage = { prompt_tokens: 7, completion_tokens: script.chunks, total_tokens: 7 + script.chunks };
  if (!body.stream) {
    const content = Array.from({ length: script.chunks }, (_, i) => `t${i} `).join('');
    response.writeHead(200, { 'content-type': 'application/json' });
    return void response.end(
      JSON.stringify({
        id: 'c1',
        object: 'chat.completion',
        created: 1,
        model: body.model,
        choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
        ...(script.withUsage ? { usage } : {}),
      }),
    );
  }
  const send = (data: object): void =>
    void response.write(`data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', ...data })}\n\n`);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  send({ choices: [{ index: 0, delta: { role: 'assistant' }, finish_reason: null }] });
  if (script.dieBeforeContent) return void response.destroy();
  for (let i = 0; i < script.chunks; i++) {
    if (script.paceMs > 0) await delay(script.paceMs);
    if (response.destroyed) return;
    if (script.dieAfter === i) return void response.destroy();
    engine.written += 1;
    send({ choices: [{ index: 0, delta: { content: `t${i} ` }, finish_reason: null }] });
  }
  send({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
  if (script.withUsage) send({ choices: [], usage });
  response.end('data: [DONE]\n\n');
};
