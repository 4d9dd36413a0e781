import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { debsFolder } from '@cupel/local/debs';
import { eventually } from '@cupel/testing/wait';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { routerTwin } from './payment/router-twin.ts';
import { openWorld, startPayment } from './payment/world.ts';

// strace from the pinned Debian packages: nothing need be installed on the machine.
const traceRoot = join(await debsFolder(), 'trace');
process.env['LD_LIBRARY_PATH'] = ['usr/lib', 'lib'].map((lib) => join(traceRoot, lib, 'x86_64-linux-gnu')).join(':');
const TRACE = [
  join(traceRoot, 'usr/bin/strace'),
  '-f',
  '-qq',
  '-s',
  '4096',
  '-e',
  'trace=fsync,fdatasync,read,recvfrom,write,writev,sendto,sendmsg',
];

/** What happened between each request and its reply, in the order of the kernel: does every reply have a sync of the disk before it? */
const syncedBeforeReply = (trace: string, request: RegExp, reply: RegExp): boolean[] => {
  const out: boolean[] = [];
  let synced: boolean | undefined;
  for (const line of trace.split('\n')) {
    if (request.test(line)) synced = false;
    else if (/\bf(?:data)?sync\((?:\d+<[^>]*>|\d+)\)\s*= 0|<\.\.\. f(?:data)?sync resumed>.*= 0/.test(line) && synced === false)
      synced = true;
    else if (reply.test(line) && synced !== undefined) {
      out.push(synced);
      synced = undefined;
    }
  }
  return out;
};

describe('a system-call trace', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'cupel-strace-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const traced = async (synchronous: 'FULL' | 'OFF'): Promise<boolean[]> => {
    const script = new URL('./payment/voucher-once.ts', import.meta.url).pathname;
    const output = join(folder, `${synchronous}.trace`);
    const [strace, ...args] = TRACE;
    await promisify(execFile)(strace!, [
      ...args,
      '-o',
      output,
      process.execPath,
      script,
      join(folder, `${synchronous}.sqlite`),
      synchronous,
    ]);
    return syncedBeforeReply(readFileSync(output, 'utf8'), /write\(1, "REQUEST/, /write\(1, "REPLY/);
  };

  test('a voucher is on disk before its reply', async () => {
    expect(await traced('FULL')).toEqual(Array.from({ length: 10 }, () => true));
  });

  test('the check sees the difference: with synchronous=OFF no reply has a sync before it', async () => {
    expect(await traced('OFF')).toEqual(Array.from({ length: 10 }, () => false));
  });

  test('the same of the whole service: the sync stands between the request and the reply on the bus', { timeout: 60_000 }, async () => {
    await using world = await openWorld();
    const output = join(folder, 'service.trace');
    const payment = await startPayment(world.configPath, [...TRACE, '-o', output]);
    try {
      const router = routerTwin(world.bus);
      await eventually('the channel to be final', async () => (await router.voucher(10n))?.ok);
      for (let amount = 11n; amount < 16n; amount++) expect(await router.voucher(amount)).toMatchObject({ ok: true });
    } finally {
      // strace keeps signals from itself: the process that holds the ledger is the one to stop.
      const holder = JSON.parse(readFileSync(`${world.ledgerPath}.holder.json`, 'utf8')) as { pid: number };
      process.kill(holder.pid, 'SIGTERM');
      await payment.exited;
    }
    await eventually('the trace', () => existsSync(output));
    const trace = readFileSync(output, 'utf8');
    const replies = syncedBeforeReply(
      trace,
      /(?:read|recvfrom)\(.*maxClaimableAmount\\"/,
      /(?:write|writev|sendto|sendmsg)\(.*\\"ok\\":true/,
    );
    expect(replies).toEqual(Array.from({ length: 6 }, () => true));
  });
});
