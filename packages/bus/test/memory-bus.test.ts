import { busContract } from '@cupel/testing/bus-contract';
import { memoryBus } from '@cupel/testing/memory-bus';

busContract('memory', async () => {
  const bus = memoryBus();
  return {
    bus,
    wipe: async () => bus.wipe(),
    [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
  };
});
