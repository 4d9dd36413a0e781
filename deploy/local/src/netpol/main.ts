import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../command.ts';
import type { Namespace, NetworkPolicy, Pod } from './objects.ts';
import { renderTable } from './render.ts';
import { type ApiAccess, keepCopy } from './watch.ts';

/*
 * Enforces NetworkPolicy on the one node of the local cluster: `node main.ts SERVER CERTIFICATES_FOLDER`. It watches pods, namespaces
 * and policies and loads the whole table anew when the outcome differs.
 */

const [server, certificates] = process.argv.slice(2);
if (server === undefined || certificates === undefined) throw new Error('usage: main.ts SERVER CERTIFICATES_FOLDER');

const pem = (name: string): Promise<string> => readFile(join(certificates, name), 'utf8');
const access: ApiAccess = {
  server,
  ca: await pem('ca.crt'),
  cert: await pem('network-policy.crt'),
  key: await pem('network-policy.key'),
};

const namespaces = new Map<string, Namespace>();
const pods = new Map<string, Pod>();
const policies = new Map<string, NetworkPolicy>();

const settleMs = 10;
let applied = '';
let dirty = false;
let busy = false;

const report = (text: string): void => {
  process.stderr.write(`${new Date().toISOString()} ${text}\n`);
};

async function apply(): Promise<void> {
  dirty = true;
  if (busy) return;
  busy = true;
  while (dirty) {
    // Changes come in bursts; one table for all of them.
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    dirty = false;
    try {
      const table = renderTable({
        namespaces: [...namespaces.values()],
        pods: [...pods.values()],
        policies: [...policies.values()],
      });
      if (table === applied) continue;
      await run('nft', ['-f', '-'], { input: table });
      applied = table;
      report(`applied, ${table.length} bytes`);
    } catch (error) {
      report(`the former rules stay: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  busy = false;
}

// What comes from the API server has the shape that its own validation guarantees.
const trusted = <T>(object: unknown): T => object as T;
const changed = (): void => void apply();
await Promise.all([
  keepCopy(access, '/api/v1/namespaces', namespaces, trusted<Namespace>, changed),
  keepCopy(access, '/api/v1/pods', pods, trusted<Pod>, changed),
  keepCopy(access, '/apis/networking.k8s.io/v1/networkpolicies', policies, trusted<NetworkPolicy>, changed),
]);
