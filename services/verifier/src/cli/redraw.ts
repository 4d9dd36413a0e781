import { parseArgs } from 'node:util';

import { httpEndpoint } from '@cupel/chain/rpc';
import type { Endpoint } from '@cupel/chain/rpc';
import type { Hex } from '@cupel/protocol/hex';
import { encodeJson } from '@cupel/protocol/wire/scalars';
import { keccak256 } from '@cupel/signing/keccak';

import { readAudit } from '../io/audit-source.ts';
import { summarize } from '../sample/audit.ts';
import type { AuditEpoch, OnChain } from '../sample/audit.ts';
import { renderAudit } from './table.ts';

const USAGE = `cupel-verifier redraw --state <verifier.sqlite | export.json> [--rpc <url>] [--json]
cupel-verifier export --state <verifier.sqlite>

redraw  draws every closed epoch again and compares; with --rpc also that each commitment is on chain and older than its beacon.
        Exit code 1: something differs. 2: it could not be read or asked.
export  writes what redraw needs, revealed seeds included, as JSON: for people who do not have the file.`;

const askChain = async (rpc: Endpoint, epoch: AuditEpoch): Promise<OnChain> => {
  const [transaction, receipt, block] = await Promise.all([
    rpc.send('eth_getTransactionByHash', [epoch.commitTx]),
    rpc.send('eth_getTransactionReceipt', [epoch.commitTx]),
    rpc.send('eth_getBlockByNumber', [`0x${epoch.beaconBlock.toString(16)}`, false]),
  ]);
  const [tx, mined, beacon] = [fieldsOf(transaction), fieldsOf(receipt), fieldsOf(block)];
  return {
    commitment: tx &&
      mined && {
        block: Number(mined['blockNumber']),
        from: hex(tx['from']),
        to: hex(tx['to']),
        data: hex(tx['input']),
        success: Number(mined['status']) === 1,
      },
    beaconHash: beacon && hex(beacon['hash']),
  };
};

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;

const hex = (value: unknown): Hex => String(value).toLowerCase() as Hex;

const run = async (): Promise<number> => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      state: { type: 'string' },
      rpc: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const command = positionals[0] ?? 'redraw';
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (values.state === undefined || !['redraw', 'export'].includes(command)) {
    console.error(USAGE);
    return 2;
  }
  const record = readAudit(values.state);
  if (command === 'export') {
    console.log(encodeJson(record));
    return 0;
  }
  const onChain = new Map<number, OnChain>();
  if (values.rpc !== undefined) {
    const rpc = httpEndpoint('rpc', values.rpc, 10_000);
    const chainId = Number(await rpc.send('eth_chainId', []));
    if (chainId !== record.chainId)
      throw new Error(`${values.rpc} is chain ${chainId}, the record is of chain ${record.chainId}; name another --rpc`);
    for (const epoch of record.epochs) onChain.set(epoch.number, await askChain(rpc, epoch));
  }
  const summary = summarize(keccak256, record, (epoch) => onChain.get(epoch.number));
  console.log(values.json ? JSON.stringify(summary, undefined, 2) : renderAudit(summary, values.rpc !== undefined));
  return summary.epochs.every((e) => e.reproduced) ? 0 : 1;
};

try {
  process.exitCode = await run();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
