import { refuse } from '@cupel/protocol/reasons';
import type { Reason } from '@cupel/protocol/reasons';

import type { Edge } from './edge/edge.ts';
import type { Gateway } from './gateway/gateway.ts';
import type { Exchange } from './stream/exchange.ts';
import { sendJson, sendRefusal } from './stream/respond.ts';

/** `path` is without query. */
export type Routes = (method: string, path: string, exchange: Exchange) => Promise<void> | void;

const no = (exchange: Exchange, reason: Reason, message: string): void => sendRefusal(exchange.reply, refuse(reason, message));

const only = (allowed: string, method: string, path: string, exchange: Exchange, run: () => Promise<void> | void): Promise<void> | void =>
  method === allowed ? run() : no(exchange, 'method_not_allowed', `${path} takes ${allowed} only`);

const decode = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
};

const INFER = /^\/v2\/models\/(.+)\/infer$/;
const MODEL_READY = /^\/v2\/models\/(.+)\/ready$/;
const MODEL_V2 = /^\/v2\/models\/(.+)$/;
const MODEL_V1 = /^\/v1\/models\/(.+)$/;
const RECEIPT = /^\/v1\/receipts\/([^/]+)$/;
const EDGE_RECEIPT = /^\/cupel\/v1\/receipts\/([^/]+)$/;

/** The consumers' door: OpenAI's API and the Open Inference Protocol (README.md). */
export const gatewayRoutes = (gateway: Gateway): Routes => {
  const name = (match: RegExpExecArray): string => decode(match[1]!) ?? '';
  return (method, path, exchange) => {
    const { reply } = exchange;
    if (path === '/v1/chat/completions') return only('POST', method, path, exchange, () => gateway.chat(exchange));
    const infer = INFER.exec(path);
    if (infer) return only('POST', method, path, exchange, () => gateway.infer(exchange, name(infer)));
    if (path === '/v1/models') return only('GET', method, path, exchange, () => listModels(gateway, exchange));
    const v1 = MODEL_V1.exec(path);
    if (v1) return only('GET', method, path, exchange, () => oneModel(gateway, exchange, name(v1)));
    const receipt = RECEIPT.exec(path);
    if (receipt) return only('GET', method, path, exchange, () => gateway.receipt(exchange, receipt[1]!));
    if (path === '/v2')
      return only('GET', method, path, exchange, () => sendJson(reply, 200, { name: 'cupel', version: '0.1.0', extensions: [] }));
    if (path === '/v2/health/live') return only('GET', method, path, exchange, () => sendJson(reply, 200, { live: true }));
    if (path === '/v2/health/ready') return only('GET', method, path, exchange, () => sendJson(reply, 200, { ready: true }));
    const ready = MODEL_READY.exec(path);
    if (ready) return only('GET', method, path, exchange, () => modelReady(gateway, exchange, name(ready)));
    const v2 = MODEL_V2.exec(path);
    if (v2) return only('GET', method, path, exchange, () => modelMetadata(gateway, exchange, name(v2)));
    return no(exchange, 'not_found', `there is no ${path.slice(0, 200)}`);
  };
};

/** The gateways' door: docs/specs/gateway-edge.md. */
export const edgeRoutes =
  (edge: Edge): Routes =>
  (method, path, exchange) => {
    if (path === '/v1/chat/completions') return only('POST', method, path, exchange, () => edge.chat(exchange));
    if (INFER.test(path)) return only('POST', method, path, exchange, () => edge.infer(exchange));
    if (path === '/cupel/v1/sessions') return only('POST', method, path, exchange, () => edge.session(exchange));
    const receipt = EDGE_RECEIPT.exec(path);
    if (receipt) return only('GET', method, path, exchange, () => edge.receipt(exchange, receipt[1]!));
    return no(exchange, 'not_found', `there is no ${path.slice(0, 200)}`);
  };

/** `created` is the block of the first registration: the chain has no better clock that is the same everywhere. */
const openAiModel = (model: { readonly name: string; readonly since: number }): object => ({
  id: model.name,
  object: 'model',
  created: model.since,
  owned_by: 'cupel',
});

const listModels = async (gateway: Gateway, exchange: Exchange): Promise<void> => {
  const refusal = await gateway.mayList(exchange.headers);
  if (refusal) return sendRefusal(exchange.reply, refusal);
  sendJson(exchange.reply, 200, { object: 'list', data: gateway.models().map(openAiModel) });
};

const oneModel = async (gateway: Gateway, exchange: Exchange, name: string): Promise<void> => {
  const refusal = await gateway.mayList(exchange.headers);
  if (refusal) return sendRefusal(exchange.reply, refusal);
  const model = gateway.models().find((m) => m.name === name);
  if (!model) return unknownModel(exchange, name);
  sendJson(exchange.reply, 200, openAiModel(model));
};

const unknownModel = (exchange: Exchange, name: string): void =>
  sendRefusal(
    exchange.reply,
    refuse('model_not_found', `The model '${name.slice(0, 100)}' does not exist or you do not have access to it`, { param: 'model' }),
  );

const modelReady = (gateway: Gateway, exchange: Exchange, name: string): void => {
  if (!gateway.model(name)) return unknownModel(exchange, name);
  const ready = gateway.models().some((m) => m.name === name);
  if (!ready) return no(exchange, 'no_provider', `no provider of "${name}" is active`);
  sendJson(exchange.reply, 200, { name, ready: true });
};

const modelMetadata = (gateway: Gateway, exchange: Exchange, name: string): void => {
  const model = gateway.model(name);
  if (!model) return unknownModel(exchange, name);
  if (model.kind !== 'integer') return no(exchange, 'wrong_protocol', `"${name}" is a chat model`);
  const tensor = (of: string): object => ({ name: of, datatype: 'UINT8', shape: [1, -1] });
  sendJson(exchange.reply, 200, { name, versions: [], platform: 'cupel_integer', inputs: [tensor('input')], outputs: [tensor('output')] });
};
