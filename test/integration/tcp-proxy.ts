import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP proxy on loopback that breaks connections on demand. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** RST to both sides of every connection. */
  reset(): void;
  /** While true, bytes of both sides are swallowed and connections stay open. */
  blackHole: boolean;
}

export async function startTcpProxy(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  const proxy = { blackHole: false };
  const server = createServer((inner) => {
    const outer = connect(target.port, target.host);
    const pair = [inner, outer] as const;
    pairs.add(pair);
    for (const [from, to] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      from.on('data', (bytes) => {
        if (!proxy.blackHole) to.write(bytes);
      });
      from.on('error', () => {});
      from.on('close', () => {
        to.destroy();
        pairs.delete(pair);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const reset = (): void => {
    for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
  };
  return Object.assign(proxy, {
    port,
    reset,
    [Symbol.asyncDispose]: async () => {
      reset();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  });
}
