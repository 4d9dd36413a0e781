import type { Hex } from '@cupel/protocol/hex';

export type HeadTag = 'latest' | 'safe' | 'finalized';

/** A block number, a tag, or a block hash (an answer of another fork is then impossible). */
export type At = number | HeadTag | 'pending' | { readonly blockHash: Hex };

export interface Block {
  readonly number: number;
  readonly hash: Hex;
  readonly parentHash: Hex;
  /** Unix seconds. */
  readonly timestamp: number;
  readonly baseFeePerGas: bigint;
  /** 256 bytes: which addresses and topics may have logged here. Absent where a node leaves it out. */
  readonly logsBloom?: Hex;
}

export interface Log {
  readonly address: Hex;
  readonly topics: readonly Hex[];
  readonly data: Hex;
  readonly blockNumber: number;
  readonly blockHash: Hex;
  readonly transactionHash: Hex;
  readonly logIndex: number;
}

export type LogFilter = { readonly addresses: readonly Hex[] } & (
  | { readonly blockHash: Hex }
  | { readonly fromBlock: number; readonly toBlock: number }
);

export interface CallRequest {
  readonly to: Hex;
  readonly data: Hex;
  readonly from?: Hex;
  readonly value?: bigint;
  readonly gas?: bigint;
}

export interface TransactionReceipt {
  readonly hash: Hex;
  readonly blockNumber: number;
  readonly blockHash: Hex;
  readonly success: boolean;
  readonly gasUsed: bigint;
  /** Wei per gas that was paid. */
  readonly effectiveGasPrice: bigint;
  readonly contractAddress: Hex | undefined;
  readonly logs: readonly Log[];
}

/** The node answered with an error of JSON-RPC. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: number;
  /** Revert data of a call, when there is some. */
  readonly data: Hex | undefined;
  constructor(message: string, code: number, data?: Hex) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** A call was reverted by the contract; `data` is what `decodeError` reads. */
export class CallReverted extends Error {
  override readonly name = 'CallReverted';
  readonly data: Hex;
  constructor(message: string, data: Hex) {
    super(message);
    this.data = data;
  }
}

/** No RPC endpoint gave an answer within the deadline. What was sent may have arrived. */
export class ChainUnavailable extends Error {
  override readonly name = 'ChainUnavailable';
}

/** An endpoint belongs to another chain than the configuration says. */
export class WrongChain extends Error {
  override readonly name = 'WrongChain';
}

/**
 * One chain behind one or several RPC endpoints: the first healthy one is asked, the next ones when it fails. Every call has a deadline.
 * Every method throws {@link ChainUnavailable} when none answers and {@link RpcError} when the answer is an error.
 */
export interface ChainClient extends AsyncDisposable {
  readonly chainId: bigint;
  head(tag: HeadTag): Promise<Block>;
  /** undefined: the node does not know it. */
  block(ref: number | Hex): Promise<Block | undefined>;
  /** In order of block and log index. A range that the node refuses as too large is split. */
  logs(filter: LogFilter): Promise<readonly Log[]>;
  /** eth_call. Throws {@link CallReverted}. `at` defaults to latest. */
  call(request: CallRequest, at?: At): Promise<Hex>;
  code(address: Hex, at?: At): Promise<Hex>;
  /** Wei. */
  balance(address: Hex, at?: At): Promise<bigint>;
  /** Number of transactions of an account. */
  nonce(address: Hex, at: 'latest' | 'pending' | 'finalized'): Promise<number>;
  /** To every endpoint; resolves with the hash when one takes it. */
  sendRaw(raw: Hex): Promise<Hex>;
  /** undefined: not mined, as far as the node knows. */
  receipt(hash: Hex): Promise<TransactionReceipt | undefined>;
  /** Gas. Throws {@link CallReverted}. `at` defaults to latest. */
  estimate(request: CallRequest, at?: 'latest' | 'pending'): Promise<bigint>;
  /** Wei per gas: what a transaction should offer now. */
  fees(): Promise<{ readonly maxFeePerGas: bigint; readonly maxPriorityFeePerGas: bigint }>;
  /** For a health check: undefined, or what is wrong. */
  status(): string | undefined;
}
