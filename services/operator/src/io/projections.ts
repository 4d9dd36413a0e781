import type { Bus } from '@cupel/bus/bus';
import { registryEntry, stakeState } from '@cupel/protocol/wire/projections';

/** Tells of models whose entry or stake changed on chain, as the watcher of this party projects it; `modelId` without 0x. */
export const watchProjections = (bus: Pick<Bus, 'kv'>, onChange: (modelId: string) => void): AsyncDisposable => {
  const watches = [
    bus.kv('registry', registryEntry).watch((key) => onChange(key)),
    bus.kv('stakes', stakeState).watch((key) => onChange(key)),
  ];
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(watches.map((watch) => watch[Symbol.asyncDispose]()));
    },
  };
};
