import { Agent, request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

/** Address of an API server and the client certificate to use, as PEM. */
export interface ApiAccess {
  readonly server: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

interface Named {
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

const metadata = z.looseObject({ name: z.string().default(''), namespace: z.string().optional(), resourceVersion: z.string().optional() });
const list = z.looseObject({ metadata: z.looseObject({ resourceVersion: z.string() }), items: z.array(z.looseObject({ metadata })) });
const event = z.looseObject({ type: z.string(), object: z.looseObject({ metadata: metadata.optional() }) });

/** Keeps a copy of every object of one kind, fed by list and watch; calls `onChange` after each change. Never returns. */
export async function keepCopy<T extends Named>(
  access: ApiAccess,
  path: string,
  copy: Map<string, T>,
  parse: (object: unknown) => T,
  onChange: () => void,
): Promise<never> {
  const agent = new Agent({ ca: access.ca, cert: access.cert, key: access.key, keepAlive: true });
  for (;;) {
    try {
      const all = list.parse(JSON.parse(await text(await open(access, agent, path))));
      copy.clear();
      for (const item of all.items) copy.set(`${item.metadata.namespace ?? ''}/${item.metadata.name}`, parse(item));
      onChange();
      const query = `?watch=true&allowWatchBookmarks=true&resourceVersion=${all.metadata.resourceVersion}`;
      for await (const line of lines(await open(access, agent, path + query))) {
        const { type, object } = event.parse(JSON.parse(line));
        if (type === 'ERROR') break;
        if (type === 'BOOKMARK' || object.metadata === undefined) continue;
        const key = `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
        if (type === 'DELETED') copy.delete(key);
        else copy.set(key, parse(object));
        onChange();
      }
    } catch {
      // The API server is away or the watch is too old: list again. The rules in force stay.
      await sleep(300);
    }
  }
}

async function open(access: ApiAccess, agent: Agent, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(access.server + path, { agent }, (response) => {
      if (response.statusCode === 200) resolve(response);
      else {
        response.resume();
        reject(new Error(`GET ${path}: status ${response.statusCode}`));
      }
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

async function text(response: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) body += String(chunk);
  return body;
}

async function* lines(response: IncomingMessage): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of response.setEncoding('utf8')) {
    const parts = (rest + String(chunk)).split('\n');
    rest = parts.pop() ?? '';
    yield* parts.filter((part) => part !== '');
  }
}
