import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { utf8 } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import { keccak256 } from '@cupel/signing/keccak';

import { run } from '../command.ts';
import { checkoutFolder } from '../config.ts';
import { copyFromNode } from '../rootless.ts';
import { waitFor } from './kubectl.ts';
import type { Rpc } from './rpc.ts';
import type { Told } from './story.ts';

/** What `cupel-verifier redraw --json` prints. */
export interface Redraw {
  readonly epochs: readonly {
    readonly number: number;
    readonly reproduced: boolean;
    readonly receipts: number;
    readonly sampled: number;
  }[];
  readonly receipts: number;
  readonly sampled: number;
  readonly undrawn: number;
  readonly passed: number;
  readonly lies: number;
  readonly suspect: number;
  readonly unverifiable: number;
  readonly pendingVerdicts: number;
  readonly disputes: { readonly upheld: number; readonly open: number; readonly failed: number; readonly falseAccusations: number };
  readonly missEveryLie: number;
}

/** Draws the verifier's sample again, from a copy of its state and from the chain. */
export const redraw = async (told: Told): Promise<Redraw> => {
  const folder = join(told.volumes, 'ledgers/gateway/data-gateway-verifier-0');
  const copy = await mkdtemp(join(tmpdir(), 'cupel-verifier-'));
  try {
    const names = (await readdir(folder)).filter((name) => name.startsWith('verifier.sqlite'));
    await copyFromNode(
      names.map((name) => join(folder, name)),
      copy,
    );
    const args = ['services/verifier/src/cli/redraw.ts', '--state', join(copy, 'verifier.sqlite'), '--rpc', told.chainUrl, '--json'];
    return JSON.parse(await run(process.execPath, args, { cwd: checkoutFolder })) as Redraw;
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
};

export interface Lie {
  readonly answer: number;
  readonly inputSha256: string;
}

/** What the liar's own log says it told. */
export const liesTold = async (told: Told): Promise<Lie[]> => {
  const log = await told.cluster.kubectl(['-n', 'cheat', 'logs', '-l', 'app.kubernetes.io/component=engine', '-c', 'engine', '--tail=-1']);
  return log
    .split('\n')
    .filter((l) => l.startsWith('{'))
    .map((l) => JSON.parse(l) as { event: string } & Lie)
    .filter((l) => l.event === 'lie');
};

const topic = (signature: string): Hex => `0x${Buffer.from(keccak256(utf8(signature))).toString('hex')}`;

interface RawLog {
  readonly topics: readonly Hex[];
  readonly data: Hex;
  readonly transactionHash: Hex;
  readonly blockNumber: Hex;
}

const logsOf = (rpc: Rpc, address: Hex, signature: string): Promise<RawLog[]> =>
  rpc('eth_getLogs', [{ fromBlock: '0x0', toBlock: 'latest', address, topics: [topic(signature)] }]);

const wordAt = (data: Hex, index: number): bigint => BigInt(`0x${data.slice(2 + 64 * index, 66 + 64 * index)}`);

/** What the chain says of the story, by raw logs. */
export const chainFacts = async (told: Told) => {
  const { rpc, stage } = told;
  const { contracts } = stage;
  const upheld = await logsOf(rpc, contracts.disputeManager, 'Upheld(bytes32,bytes32,address,address,uint256,uint256)');
  const slashed = await logsOf(rpc, contracts.stakeVault, 'Slashed(bytes32,uint256,uint256,uint256,uint256)');
  const posted = await logsOf(rpc, contracts.claimManager, 'RootPosted(bytes32,bytes32,bytes32,uint32,uint128,uint256,uint64)');
  const final = await logsOf(rpc, contracts.claimManager, 'ClaimFinalized(bytes32)');
  const redeemed = await logsOf(rpc, contracts.paymentChannels, 'Redeemed(address,address,uint256,bytes)');
  const timeOf = async (block: Hex): Promise<number> =>
    Number((await rpc<{ timestamp: string }>('eth_getBlockByNumber', [block, false])).timestamp);
  const upheldAt = await Promise.all(upheld.map((l) => timeOf(l.blockNumber)));
  return {
    upheld: upheld.map((l, i) => ({
      at: upheldAt[i]!,
      digest: l.topics[1]!,
      modelId: l.topics[2]!,
      slashed: wordAt(l.data, 1),
      refund: wordAt(l.data, 2),
      tx: l.transactionHash,
    })),
    slashes: slashed.map((l) => ({
      modelId: l.topics[1]!,
      total: wordAt(l.data, 0),
      challenger: wordAt(l.data, 1),
      beneficiary: wordAt(l.data, 2),
      burned: wordAt(l.data, 3),
      tx: l.transactionHash,
    })),
    posted: posted.map((l) => ({ claimId: l.topics[1]!, versionId: l.topics[2]! })),
    finalClaims: final.map((l) => l.topics[1]!),
    redeemed: redeemed.map((l) => ({ payee: `0x${l.topics[1]!.slice(26)}` as Hex, paid: wordAt(l.data, 0), tx: l.transactionHash })),
  };
};

/** Waits until everything held is drawn, judged and disputed. */
export const waitForJustice = (told: Told, receipts: number, timeoutMs: number): Promise<Redraw> => {
  let last: Redraw | undefined;
  return waitFor(
    'the verifier to draw, judge and dispute',
    async () => {
      last = await redraw(told);
      const done =
        last.receipts >= receipts &&
        last.undrawn === 0 &&
        last.pendingVerdicts === 0 &&
        last.disputes.open === 0 &&
        last.disputes.upheld >= last.lies;
      return done ? last : undefined;
    },
    timeoutMs,
    1000,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; the last state was ${JSON.stringify({ ...last, epochs: undefined })}`, { cause: error });
  });
};
