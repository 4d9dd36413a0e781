import type { Bus } from '@cupel/bus/bus';
import type { Hex } from '@cupel/protocol/hex';
import type { Logger } from '@cupel/protocol/log';
import { engineList } from '@cupel/protocol/wire/bus';
import type { Engine, EngineList } from '@cupel/protocol/wire/bus';
import { edgeScope, enginesKey, receiptsStream, receiptsSubject } from '@cupel/protocol/wire/subjects';

import type { EnginesPort } from '../reconcilers/modelprovider/ports.ts';
import { createLocks } from './locks.ts';

export interface Engines extends EnginesPort, AsyncDisposable {
  /** Makes the bucket, the lists in it, and the streams of receipts of the edges that are known, where they were lost or covered. */
  repair(): Promise<void>;
}

export interface ReceiptStreams {
  readonly maxAgeMs: number;
  readonly maxBytes: number;
}

/**
 * The bucket `engines`, one list per edge, and a stream of receipts for each edge that has one: an edge itself may make none, since whoever may
 * make a stream decides what it hears. The operator is the one writer of both. Reads come from a watched copy, so that a bus that is away stops
 * nothing; `onChange` tells when the bucket changes under us, also when it was wiped.
 */
export const createEngines = async (
  bus: Pick<Bus, 'kv' | 'ensureKv' | 'ensureStream'>,
  logger: Logger,
  receipts: ReceiptStreams,
  onChange: (namespace: string, edge: string) => void,
): Promise<Engines> => {
  const kv = bus.kv('engines', engineList);
  const lists = new Map<string, EngineList>();
  const locks = createLocks();
  await bus.ensureKv('engines');
  const watch = kv.watch((key, list) => {
    if (list === undefined) lists.delete(key);
    else lists.set(key, list);
    onChange(...edgeOf(key));
  });
  await watch.ready;

  const ensureStream = async (key: string): Promise<void> => {
    const scope = edgeScope(...edgeOf(key));
    await bus.ensureStream({ name: receiptsStream(scope), subjects: [receiptsSubject(scope)], ...receipts });
  };

  const change = (key: string, edit: (engines: readonly Engine[]) => readonly Engine[]): Promise<void> =>
    locks(key, async () => {
      const engines = [...edit(lists.get(key)?.engines ?? [])].toSorted((a, b) => (a.modelId < b.modelId ? -1 : 1));
      const list: EngineList = { version: 1, engines };
      // Before the edge is told of an engine: its first receipt has somewhere to go. It is only transport: without it the edge sells all the same.
      await ensureStream(key).catch((err: unknown) =>
        logger.warn({ err, key }, 'the stream of receipts cannot be made; it is tried again'),
      );
      await bus.ensureKv('engines');
      await kv.put(key, list);
      lists.set(key, list);
      logger.info({ edge: key, engines: engines.length }, 'engine list written');
    });

  return {
    get: (namespace, edge, modelId: Hex) =>
      Promise.resolve(lists.get(enginesKey(namespace, edge))?.engines.find((engine) => engine.modelId === modelId)),
    publish: (namespace, edge, engine) =>
      change(enginesKey(namespace, edge), (engines) => [...engines.filter(({ modelId }) => modelId !== engine.modelId), engine]),
    withdraw: (namespace, edge, modelId) =>
      change(enginesKey(namespace, edge), (engines) => engines.filter((engine) => engine.modelId !== modelId)),
    async repair() {
      // A lost bucket tells nobody: its watch waits for the bucket, and the bucket for its writer.
      await bus.ensureKv('engines');
      const repairOne = async (key: string): Promise<void> => {
        await locks(key, async () => {
          const list = lists.get(key);
          if (list !== undefined && (await kv.get(key)) === undefined) await kv.put(key, list);
        });
        await ensureStream(key);
      };
      const tried = await Promise.allSettled([...lists.keys()].map(repairOne));
      const failed = tried.find((result) => result.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    },
    [Symbol.asyncDispose]: () => watch[Symbol.asyncDispose](),
  };
};

const edgeOf = (key: string): [namespace: string, edge: string] => {
  const dot = key.indexOf('.');
  return [key.slice(0, dot), key.slice(dot + 1)];
};
