import type { Hex } from '@cupel/protocol/hex';

import { RpcError } from './client.ts';

/** One endpoint gave no usable answer: it may be asked again later, another one now. */
export class EndpointFailed extends Error {
  override readonly name = 'EndpointFailed';
}

export interface Endpoint {
  readonly name: string;
  /** JSON-RPC 2.0 over HTTP POST. Throws {@link RpcError} when the node says no, {@link EndpointFailed} for anything else. */
  send(method: string, params: readonly unknown[]): Promise<unknown>;
}

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** JSON-RPC codes that speak of the endpoint and not of the question: internal error, resource limits, rate limits. */
const ENDPOINT_CODES = new Set([-32005, -32016, 429]);

export const httpEndpoint = (name: string, url: string, timeoutMs: number): Endpoint => {
  let id = 0;
  return {
    name,
    async send(method, params) {
      id += 1;
      const body = JSON.stringify({ jsonrpc: '2.0', id, method, params });
      const answer = await post(name, url, body, timeoutMs);
      if (typeof answer !== 'object' || answer === null) throw new EndpointFailed(`${name}: the answer to ${method} is no JSON-RPC object`);
      if ('error' in answer && answer.error !== null && answer.error !== undefined) throw rpcError(name, method, answer.error);
      if (!('result' in answer)) throw new EndpointFailed(`${name}: the answer to ${method} has neither result nor error`);
      return answer.result;
    },
  };
};

const post = async (name: string, url: string, body: string, timeoutMs: number): Promise<unknown> => {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    const length = Number(response.headers.get('content-length') ?? 0);
    if (length > MAX_ANSWER_BYTES) throw new EndpointFailed(`${name}: an answer of ${length} bytes is too long`);
    const text = await response.text();
    if (!response.ok && !text.includes('"jsonrpc"')) throw new EndpointFailed(`${name}: HTTP status ${response.status}`);
    return JSON.parse(text) as unknown;
  } catch (cause) {
    if (cause instanceof EndpointFailed) throw cause;
    const why =
      cause instanceof Error ? (cause.cause instanceof Error ? cause.cause.message || cause.message : cause.message) : 'unknown error';
    throw new EndpointFailed(`${name}: ${why}`, { cause });
  }
};

const rpcError = (name: string, method: string, error: unknown): Error => {
  const { code, message, data } =
    typeof error === 'object' && error !== null ? (error as { code?: unknown; message?: unknown; data?: unknown }) : {};
  const number = typeof code === 'number' ? code : -32000;
  const text = `${method}: ${typeof message === 'string' ? message : 'error without a message'}`;
  if (ENDPOINT_CODES.has(number)) return new EndpointFailed(`${name}: ${text}`);
  return new RpcError(text, number, revertData(data));
};

/** Nodes put revert data into `data`, or into an object there. */
const revertData = (data: unknown): Hex | undefined => {
  if (typeof data === 'string' && /^0x[0-9a-fA-F]*$/.test(data)) return data.toLowerCase() as Hex;
  if (typeof data === 'object' && data !== null && 'data' in data) return revertData(data.data);
  return undefined;
};
