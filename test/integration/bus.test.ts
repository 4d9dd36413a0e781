import { connectBus } from '@cupel/bus/connection';
import { startNats } from '@cupel/local/processes/nats';
import { busContract } from '@cupel/testing/bus-contract';
import { memoryLogger } from '@cupel/testing/logger';

busContract('nats-server', async () => {
  const stack = new AsyncDisposableStack();
  const nats = stack.use(await startNats());
  const bus = stack.use(await connectBus({ url: nats.url, name: 'contract', logger: memoryLogger() }));
  return {
    bus,
    wipe: () => nats.restart({ wipe: true }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
});
