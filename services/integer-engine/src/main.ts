import { run } from '@cupel/integer/run';
import { runMain } from '@cupel/runtime/lifecycle';
import { createLogger } from '@cupel/runtime/logger';

import { readEngineConfig } from './config.ts';
import { specOf } from './infer/tensor-spec.ts';
import { openModelFolder } from './io/model-folder.ts';
import { createMeter } from './meter.ts';
import { serve } from './serve.ts';

await runMain('integer-engine', async (stack, { clock, untilSignal }) => {
  const config = readEngineConfig();
  const logger = createLogger({ service: 'integer-engine', level: 'info' });
  const { model, verificationRoot } = await openModelFolder(config.modelFolder);
  const serving = stack.use(
    await serve(
      {
        spec: specOf(config.modelName, model.program),
        answer: (input) => run(model, input),
        meter: createMeter(),
        nowMs: clock.nowMs,
        fault: (err) => logger.error({ err }, 'a request failed'),
      },
      config.port,
    ),
  );
  logger.info({ port: serving.port, model: config.modelName, verificationRoot }, 'serving');
  const signal = await untilSignal();
  serving.drain();
  logger.info({ signal }, 'stopping');
});
