import { createConnection, createServer, type Server, type Socket } from 'node:net';

/*
 * The way into the cluster's network. Inside, a process listens on a Unix socket (folders are shared, networks are not); outside, TCP
 * listeners on 127.0.0.1 hand their connections to it. The first line of a connection is `dial <host>:<port>` or, to put a target on
 * the list, `allow <host>:<port>`; everything after the line of a `dial` belongs to the target.
 */

const longestLine = 256;
const targetPattern = /^(\d{1,3}(?:\.\d{1,3}){3}):(\d{1,5})$/;

/** Splits `10.96.0.7:80`. @throws when it is not an IPv4 address and a port. */
export function parseTarget(target: string): { host: string; port: number } {
  const [, host, port] = targetPattern.exec(target) ?? [];
  if (host === undefined || port === undefined || Number(port) > 65535)
    throw new Error(`target ${JSON.stringify(target)} is not <IPv4 address>:<port>, for instance 10.96.0.7:80`);
  return { host, port: Number(port) };
}

/**
 * The inner end: listens on `socketPath` and dials targets that are on the list.
 * @param onStop called when a caller sends `stop`.
 */
export function listenInside(socketPath: string, allowed: Iterable<string>, onStop: () => void): Server {
  const list = new Set(allowed);
  const server = createServer({ allowHalfOpen: true }, (outer) => {
    outer.on('error', () => outer.destroy());
    readLine(outer, (line) => {
      const [verb, target = ''] = line.split(' ');
      if (verb === 'allow' && targetPattern.test(target)) {
        list.add(target);
        outer.end('ok\n');
      } else if (verb === 'dial' && list.has(target)) {
        const inner = createConnection({ ...parseTarget(target), allowHalfOpen: true });
        inner.setNoDelay(true);
        join(outer, inner);
      } else if (verb === 'stop') {
        outer.end('ok\n', onStop);
      } else outer.destroy();
    });
  });
  server.listen(socketPath);
  return server;
}

/**
 * The outer end: a TCP listener on 127.0.0.1 whose connections reach `target` inside.
 * @param port 0 for a free one.
 * @throws when the port is taken.
 */
export async function listenOutside(socketPath: string, target: string, port = 0): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (outer) => {
    const inner = createConnection({ path: socketPath, allowHalfOpen: true });
    inner.write(`dial ${target}\n`);
    join(outer, inner);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP port was given');
  return { server, port: address.port };
}

/** Sends one line to a Unix socket and returns the answer's text. @throws when nobody listens or no answer comes in time. */
export async function ask(socketPath: string, line: string, timeoutMs = 5000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path: socketPath });
    let answer = '';
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer from ${socketPath} within ${timeoutMs} ms`)));
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => (answer += text));
    socket.on('error', reject);
    socket.on('close', () => resolve(answer.trim()));
    socket.write(`${line}\n`);
  });
}

/** Calls `onLine` with the first line and leaves the rest of the stream unread. */
export function readLine(socket: Socket, onLine: (line: string) => void): void {
  let seen = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    seen = Buffer.concat([seen, chunk]);
    const end = seen.indexOf('\n');
    if (end < 0) {
      if (seen.length > longestLine * 16) socket.destroy();
      return;
    }
    socket.off('data', onData);
    socket.pause();
    const rest = seen.subarray(end + 1);
    if (rest.length > 0) socket.unshift(rest);
    onLine(seen.subarray(0, end).toString());
  };
  socket.on('data', onData);
}

/** Connects two sockets in both directions; when one breaks, so does the other. */
function join(a: Socket, b: Socket): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroySoon());
    from.pipe(to);
  }
}
