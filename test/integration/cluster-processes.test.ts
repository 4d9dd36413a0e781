import { access } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { startAnvil } from '@cupel/local/processes/anvil';
import { startControlPlane } from '@cupel/local/processes/control-plane';
import { startNats } from '@cupel/local/processes/nats';

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const gone = async (path: string): Promise<boolean> =>
  access(path).then(
    () => false,
    () => true,
  );

describe('anvil', () => {
  it('mines, forgets on restart, keeps its port, and leaves', async () => {
    let url = '';
    {
      await using anvil = await startAnvil({ chainId: 4242 });
      url = anvil.rpcUrl;
      expect(anvil.chainId).toBe(4242);
      expect(anvil.accounts).toHaveLength(10);
      await anvil.rpc('anvil_mine', ['0x5']);
      expect(await anvil.rpc('eth_blockNumber')).toBe('0x5');
      await anvil.kill();
      await anvil.restart();
      expect(await anvil.rpc('eth_blockNumber')).toBe('0x0');
      await expect(anvil.rpc('no_such_method')).rejects.toThrow('no_such_method');
    }
    await expect(fetch(url)).rejects.toThrow('fetch failed');
  });
});

describe('nats-server', () => {
  it('serves JetStream, comes back after a kill, and removes its store', async () => {
    let storeDir = '';
    {
      await using nats = await startNats();
      storeDir = nats.storeDir;
      const jetStream = async (): Promise<unknown> => (await fetch(`${nats.monitorUrl}/jsz`)).json();
      expect(await jetStream()).toMatchObject({ streams: 0 });
      await nats.kill();
      await nats.restart();
      expect(await jetStream()).toMatchObject({ streams: 0 });
    }
    expect(await gone(storeDir)).toBe(true);
  });

  it('says what is wrong with a configuration', async () => {
    await expect(startNats({ config: 'nonsense {' })).rejects.toThrow('nats-server ended');
  });
});

describe('control plane', () => {
  it('admits, controls, audits, survives the death of the API server, and leaves nothing', async () => {
    let folder = '';
    let pids: number[] = [];
    {
      await using plane = await startControlPlane({ auditLog: true });
      folder = plane.folder;
      pids = [...plane.children.values()].map(({ pid }) => pid);
      await plane.kubectl(['create', 'namespace', 'strict']);
      await plane.kubectl(['label', 'namespace', 'strict', 'pod-security.kubernetes.io/enforce=restricted']);
      // The controller manager made the account without which no pod is admitted.
      await plane.kubectl(['-n', 'strict', 'wait', '--for=create', 'serviceaccount/default', '--timeout=20s']);
      await expect(plane.kubectl(['-n', 'strict', 'run', 'x', '--image=x'])).rejects.toThrow('restricted');
      await plane.restart('kube-apiserver');
      expect(await plane.kubectl(['get', 'namespace', 'strict', '-o', 'name'])).toBe('namespace/strict\n');
      await access(plane.auditLogPath);
    }
    expect(await gone(folder)).toBe(true);
    expect(pids.filter(alive)).toEqual([]);
  });
});

describe('a parent that is killed', () => {
  it('takes its programs along', async () => {
    const script = `
      const { startAnvil } = await import(${JSON.stringify(import.meta.resolve('@cupel/local/processes/anvil'))});
      const anvil = await startAnvil();
      console.log(anvil.rpcUrl);
      setInterval(() => undefined, 1000);
    `;
    const parent = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const url = await new Promise<string>((resolve) => parent.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString().trim())));
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] });
    const ask = (): Promise<Response> => fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    expect((await ask()).ok).toBe(true);
    parent.kill('SIGKILL');
    await sleep(300);
    await expect(ask()).rejects.toThrow('fetch failed');
  });
});
