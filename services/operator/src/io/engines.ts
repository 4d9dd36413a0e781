import type { Bus } from '@cupel/bus/bus';
import type { Hex } from '@cupel/protocol/hex';
import type { Logger } from '@cupel/protocol/log';
import { engineList } from '@cupel/protocol/wire/bus';
import type { Engine, EngineList } from '@cupel/protocol/wire/bus';
import { enginesKey } from '@cupel/protocol/wire/subjects';

import type { EnginesPort } from '../reconcilers/modelprovider/ports.ts';
import { createLocks } from './locks.ts';

export interface Engines extends EnginesPort, AsyncDisposable {}

/**
 * The bucket `engines`, one list per edge; the operator is its one writer. Reads come from a watched copy, so that a bus that is away stops
 * nothing; `onChange` tells when the bucket changes under us, also when it was wiped.
 */
export const createEngines = async (bus: Bus, logger: Logger, onChange: (namespace: string, edge: string) => void): Promise<Engines> => {
  const kv = bus.kv('engines', engineList);
  const lists = new Map<string, EngineList>();
  const locks = createLocks();
  await bus.ensureKv('engines');
  const watch = kv.watch((key, list) => {
    if (list === undefined) lists.delete(key);
    else lists.set(key, list);
    const dot = key.indexOf('.');
    onChange(key.slice(0, dot), key.slice(dot + 1));
  });
  await watch.ready;

  const change = (key: string, edit: (engines: readonly Engine[]) => readonly Engine[]): Promise<void> =>
    locks(key, async () => {
      const engines = [...edit(lists.get(key)?.engines ?? [])].toSorted((a, b) => (a.modelId < b.modelId ? -1 : 1));
      const list: EngineList = { version: 1, engines };
      await bus.ensureKv('engines');
      await kv.put(key, list);
      lists.set(key, list);
      logger.info({ key, engines: engines.length }, 'engine list written');
    });

  return {
    get: (namespace, edge, modelId: Hex) =>
      Promise.resolve(lists.get(enginesKey(namespace, edge))?.engines.find((engine) => engine.modelId === modelId)),
    publish: (namespace, edge, engine) =>
      change(enginesKey(namespace, edge), (engines) => [...engines.filter(({ modelId }) => modelId !== engine.modelId), engine]),
    withdraw: (namespace, edge, modelId) =>
      change(enginesKey(namespace, edge), (engines) => engines.filter((engine) => engine.modelId !== modelId)),
    [Symbol.asyncDispose]: () => watch[Symbol.asyncDispose](),
  };
};
