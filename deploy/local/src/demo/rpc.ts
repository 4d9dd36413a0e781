import type { Hex } from '@cupel/protocol/hex';

/** Raw JSON-RPC by fetch, outside our packages: the table must not be checked by what it checks. */
export const rpcOf =
  (url: string) =>
  async <T>(method: string, params: readonly unknown[]): Promise<T> => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    const body = (await response.json()) as { result?: T; error?: { message: string } };
    if (body.error) throw new Error(`${method}: ${body.error.message}`);
    return body.result as T;
  };

export type Rpc = ReturnType<typeof rpcOf>;

/** ERC-20 `balanceOf(address)`, selector 0x70a08231, as a raw eth_call. */
export const balanceOf = async (rpc: Rpc, token: Hex, account: Hex): Promise<bigint> =>
  BigInt(await rpc<string>('eth_call', [{ to: token, data: `0x70a08231${account.slice(2).padStart(64, '0')}` }, 'latest']));

/** ERC-20 `totalSupply()`, selector 0x18160ddd. */
export const totalSupply = async (rpc: Rpc, token: Hex): Promise<bigint> =>
  BigInt(await rpc<string>('eth_call', [{ to: token, data: '0x18160ddd' }, 'latest']));

export interface MinedTransaction {
  readonly hash: Hex;
  readonly from: Hex;
  readonly to: Hex | null;
  readonly selector: string;
  readonly gasUsed: bigint;
  readonly block: number;
}

/** Every transaction of the chain so far, with its gas. */
export const allTransactions = async (rpc: Rpc): Promise<MinedTransaction[]> => {
  const head = Number(await rpc<string>('eth_blockNumber', []));
  const out: MinedTransaction[] = [];
  for (let n = 0; n <= head; n++) {
    const block = await rpc<{ transactions: { hash: Hex; from: Hex; to: Hex | null; input: string }[] }>('eth_getBlockByNumber', [
      `0x${n.toString(16)}`,
      true,
    ]);
    for (const t of block.transactions) {
      const receipt = await rpc<{ gasUsed: string }>('eth_getTransactionReceipt', [t.hash]);
      out.push({ hash: t.hash, from: t.from, to: t.to, selector: t.input.slice(0, 10), gasUsed: BigInt(receipt.gasUsed), block: n });
    }
  }
  return out;
};
