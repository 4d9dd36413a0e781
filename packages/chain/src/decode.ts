import type { Hex } from '@cupel/protocol/hex';

import type { Block, Log, TransactionReceipt } from './client.ts';
import { EndpointFailed } from './rpc.ts';

/** Nodes are strangers: what they send is checked field by field. Throws {@link EndpointFailed}. */
type Fields = Readonly<Record<string, unknown>>;

const fieldsOf = (value: unknown, what: string): Fields => {
  if (typeof value !== 'object' || value === null) throw new EndpointFailed(`${what} is not an object`);
  return value as Fields;
};

export const hexOf = (value: unknown, what: string, bytes?: number): Hex => {
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]*$/.test(value)) throw new EndpointFailed(`${what} is not a hex string`);
  if (bytes !== undefined && value.length !== 2 + 2 * bytes) throw new EndpointFailed(`${what} does not have ${bytes} bytes`);
  return value.toLowerCase() as Hex;
};

export const quantityOf = (value: unknown, what: string): bigint => {
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{1,64}$/.test(value)) throw new EndpointFailed(`${what} is not a quantity`);
  return BigInt(value);
};

export const numberOf = (value: unknown, what: string): number => {
  const n = quantityOf(value, what);
  if (n > BigInt(Number.MAX_SAFE_INTEGER)) throw new EndpointFailed(`${what} is too large`);
  return Number(n);
};

export const quantity = (n: number | bigint): Hex => `0x${n.toString(16)}`;

export const decodeBlock = (value: unknown): Block => {
  const b = fieldsOf(value, 'the block');
  return {
    number: numberOf(b['number'], 'block.number'),
    hash: hexOf(b['hash'], 'block.hash', 32),
    parentHash: hexOf(b['parentHash'], 'block.parentHash', 32),
    timestamp: numberOf(b['timestamp'], 'block.timestamp'),
    baseFeePerGas:
      b['baseFeePerGas'] === undefined || b['baseFeePerGas'] === null ? 0n : quantityOf(b['baseFeePerGas'], 'block.baseFeePerGas'),
    ...(typeof b['logsBloom'] === 'string' ? { logsBloom: hexOf(b['logsBloom'], 'block.logsBloom', 256) } : {}),
  };
};

export const decodeLog = (value: unknown): Log => {
  const l = fieldsOf(value, 'the log');
  if (!Array.isArray(l['topics'])) throw new EndpointFailed('log.topics is not a list');
  return {
    address: hexOf(l['address'], 'log.address', 20),
    topics: l['topics'].map((t) => hexOf(t, 'log.topics', 32)),
    data: hexOf(l['data'], 'log.data'),
    blockNumber: numberOf(l['blockNumber'], 'log.blockNumber'),
    blockHash: hexOf(l['blockHash'], 'log.blockHash', 32),
    transactionHash: hexOf(l['transactionHash'], 'log.transactionHash', 32),
    logIndex: numberOf(l['logIndex'], 'log.logIndex'),
  };
};

/** Sorted, each once: an answer with doubled or shuffled rows does no harm. */
export const decodeLogs = (value: unknown): Log[] => {
  if (!Array.isArray(value)) throw new EndpointFailed('the logs are not a list');
  const byId = new Map(value.map(decodeLog).map((log) => [`${log.blockHash}:${log.logIndex}`, log]));
  return [...byId.values()].toSorted((a, b) => a.blockNumber - b.blockNumber || a.logIndex - b.logIndex);
};

export const decodeReceipt = (value: unknown): TransactionReceipt => {
  const r = fieldsOf(value, 'the receipt');
  return {
    hash: hexOf(r['transactionHash'], 'receipt.transactionHash', 32),
    blockNumber: numberOf(r['blockNumber'], 'receipt.blockNumber'),
    blockHash: hexOf(r['blockHash'], 'receipt.blockHash', 32),
    success: numberOf(r['status'], 'receipt.status') === 1,
    gasUsed: quantityOf(r['gasUsed'], 'receipt.gasUsed'),
    effectiveGasPrice: r['effectiveGasPrice'] === undefined ? 0n : quantityOf(r['effectiveGasPrice'], 'receipt.effectiveGasPrice'),
    contractAddress: typeof r['contractAddress'] === 'string' ? hexOf(r['contractAddress'], 'receipt.contractAddress', 20) : undefined,
    logs: decodeLogs(r['logs']),
  };
};
