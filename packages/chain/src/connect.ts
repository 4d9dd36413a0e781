import { bytesToHex, hexToBytes } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import type { Logger } from '@cupel/protocol/log';
import { keccak256 } from '@cupel/signing/keccak';

import { CallReverted, ChainUnavailable, RpcError, WrongChain } from './client.ts';
import type { At, CallRequest, ChainClient, Log, LogFilter } from './client.ts';
import { decodeBlock, decodeLogs, decodeReceipt, hexOf, numberOf, quantity, quantityOf } from './decode.ts';
import { EndpointFailed, httpEndpoint } from './rpc.ts';
import type { Endpoint } from './rpc.ts';

export interface ConnectOptions {
  /** Tried in this order. */
  readonly rpc: readonly { readonly name: string; readonly url: string }[];
  readonly chainId: number;
  readonly logger: Logger;
  /** Deadline of one question to one endpoint; default 8 s. */
  readonly timeoutMs?: number;
}

interface Route {
  readonly endpoint: Endpoint;
  /** The chain id was asked and is right. */
  verified: boolean;
  wrongChain: string | undefined;
  failures: number;
  /** Milliseconds of the monotonic clock until which others are asked first. */
  restUntil: number;
}

const MAX_REST_MS = 30_000;

/** Makes a client; nothing is asked yet, so that a service starts while the chain is away. The chain id of an endpoint is checked before its first use. */
export const connectChain = (options: ConnectOptions): ChainClient => {
  const { logger, chainId } = options;
  const routes: Route[] = options.rpc.map(({ name, url }) => ({
    endpoint: httpEndpoint(name, url, options.timeoutMs ?? 8000),
    verified: false,
    wrongChain: undefined,
    failures: 0,
    restUntil: 0,
  }));
  let problem: string | undefined;

  const verify = async (route: Route): Promise<void> => {
    if (route.verified) return;
    const found = numberOf(await route.endpoint.send('eth_chainId', []), 'the chain id');
    route.wrongChain = found === chainId ? undefined : `${route.endpoint.name} is chain ${found}, the configuration says ${chainId}`;
    if (route.wrongChain !== undefined) throw new EndpointFailed(route.wrongChain);
    route.verified = true;
  };

  /** Asks one endpoint and keeps the book of its health. */
  const ask = async (route: Route, method: string, params: readonly unknown[]): Promise<unknown> => {
    try {
      await verify(route);
      const result = await route.endpoint.send(method, params);
      route.failures = 0;
      return result;
    } catch (error) {
      if (error instanceof EndpointFailed) {
        route.failures += 1;
        route.verified = false;
        route.restUntil = performance.now() + Math.min(MAX_REST_MS, 500 * 2 ** Math.min(route.failures, 10));
        logger.warn({ rpc: route.endpoint.name, method, failures: route.failures, err: error }, 'an RPC endpoint gave no usable answer');
      }
      throw error;
    }
  };

  const fail = (failures: readonly string[], method: string): Error => {
    problem = failures.join('; ');
    if (routes.every((r) => r.wrongChain !== undefined)) return new WrongChain(`${problem}; correct market.rpc or market.chainId`);
    return new ChainUnavailable(`no RPC endpoint answered ${method}: ${problem}`);
  };

  const request = async <T>(method: string, params: readonly unknown[], decode: (value: unknown) => T): Promise<T> => {
    const now = performance.now();
    const failures: string[] = [];
    for (const route of routes.toSorted((a, b) => Number(a.restUntil > now) - Number(b.restUntil > now))) {
      try {
        const value = decode(await ask(route, method, params));
        problem = undefined;
        return value;
      } catch (error) {
        if (!(error instanceof EndpointFailed)) throw error;
        failures.push(error.message);
      }
    }
    throw fail(failures, method);
  };

  const simulate = async <T>(method: string, call: CallRequest, at: At, decode: (value: unknown) => T): Promise<T> => {
    try {
      return await request(method, [callParams(call), atParam(at)], decode);
    } catch (error) {
      if (error instanceof RpcError && isRevert(error)) throw new CallReverted(error.message, error.data ?? '0x');
      throw error;
    }
  };

  const logs = async (filter: LogFilter): Promise<Log[]> => {
    const address = [...filter.addresses];
    if ('blockHash' in filter) {
      const found = await request('eth_getLogs', [{ address, blockHash: filter.blockHash }], decodeLogs);
      return found.filter((log) => log.blockHash === filter.blockHash);
    }
    const { fromBlock, toBlock } = filter;
    try {
      return await request('eth_getLogs', [{ address, fromBlock: quantity(fromBlock), toBlock: quantity(toBlock) }], decodeLogs);
    } catch (error) {
      if (!(error instanceof RpcError) || !TOO_LARGE.test(error.message) || fromBlock >= toBlock) throw error;
      const middle = Math.floor((fromBlock + toBlock) / 2);
      const first = await logs({ addresses: address, fromBlock, toBlock: middle });
      return [...first, ...(await logs({ addresses: address, fromBlock: middle + 1, toBlock }))];
    }
  };

  return {
    chainId: BigInt(chainId),
    head: (tag) => request('eth_getBlockByNumber', [tag, false], decodeBlock),
    block: (ref) =>
      request(
        typeof ref === 'number' ? 'eth_getBlockByNumber' : 'eth_getBlockByHash',
        [typeof ref === 'number' ? quantity(ref) : ref, false],
        (b) => (b === null ? undefined : decodeBlock(b)),
      ),
    logs,
    call: (call, at = 'latest') => simulate('eth_call', call, at, (v) => hexOf(v, 'the result')),
    estimate: (call, at = 'latest') => simulate('eth_estimateGas', call, at, (v) => quantityOf(v, 'the gas')),
    code: (address, at = 'latest') => request('eth_getCode', [address, atParam(at)], (v) => hexOf(v, 'the code')),
    balance: (address, at = 'latest') => request('eth_getBalance', [address, atParam(at)], (v) => quantityOf(v, 'the balance')),
    nonce: (address, at) => request('eth_getTransactionCount', [address, at], (v) => numberOf(v, 'the nonce')),
    receipt: (hash) => request('eth_getTransactionReceipt', [hash], (r) => (r === null ? undefined : decodeReceipt(r))),
    async fees() {
      const head = await request('eth_getBlockByNumber', ['latest', false], decodeBlock);
      const tip = await request('eth_maxPriorityFeePerGas', [], (v) => quantityOf(v, 'the priority fee')).catch((error: unknown) => {
        if (error instanceof RpcError) return 1_000_000_000n;
        throw error;
      });
      return { maxFeePerGas: 2n * head.baseFeePerGas + tip, maxPriorityFeePerGas: tip };
    },
    async sendRaw(raw) {
      const hash: Hex = bytesToHex(keccak256(hexToBytes(raw)));
      const results = await Promise.allSettled(routes.map((route) => ask(route, 'eth_sendRawTransaction', [raw])));
      const errors = results.filter((r) => r.status === 'rejected').map((r) => r.reason as Error);
      if (errors.length < results.length || errors.some((e) => ALREADY_KNOWN.test(e.message))) return hash;
      throw (
        errors.find((e) => e instanceof RpcError) ??
        fail(
          errors.map((e) => e.message),
          'eth_sendRawTransaction',
        )
      );
    },
    status: () => problem,
    async [Symbol.asyncDispose]() {},
  };
};

const ALREADY_KNOWN = /already (?:known|imported|exists)|known transaction/i;
const TOO_LARGE = /range|limit|too (?:many|large)|exceed|more than/i;

const isRevert = (error: RpcError): boolean => error.code === 3 || error.data !== undefined || /revert/i.test(error.message);

const callParams = (call: CallRequest): Record<string, string> => ({
  to: call.to,
  data: call.data,
  ...(call.from === undefined ? {} : { from: call.from }),
  ...(call.value === undefined ? {} : { value: quantity(call.value) }),
  ...(call.gas === undefined ? {} : { gas: quantity(call.gas) }),
});

const atParam = (at: At): unknown => (typeof at === 'number' ? quantity(at) : at);
