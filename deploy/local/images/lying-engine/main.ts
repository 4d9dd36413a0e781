// The demo's liar: the integer engine as it is, with some answers falsified on their way out. Clients see nothing of it;
// each lie is one JSON line on standard output, so that the demo can say how many were told.
import { createHash } from 'node:crypto';

import { run } from '@cupel/integer/run';

import { readEngineConfig } from '../../../../services/integer-engine/src/config.ts';
import { specOf } from '../../../../services/integer-engine/src/infer/tensor-spec.ts';
import { openModelFolder } from '../../../../services/integer-engine/src/io/model-folder.ts';
import { createMeter } from '../../../../services/integer-engine/src/meter.ts';
import { serve } from '../../../../services/integer-engine/src/serve.ts';
import { lying } from './lie.ts';

const { LIE_SEED = '1', LIE_RATE = '0.34', LIE_AFTER = '3', ...env } = process.env;
const options = { seed: Number(LIE_SEED), rate: Number(LIE_RATE), after: Number(LIE_AFTER) };
for (const [name, value] of Object.entries(options)) {
  if (!Number.isFinite(value) || value < 0) throw new Error(`LIE_${name.toUpperCase()}: want a number of at least 0`);
}

const write = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const config = readEngineConfig(env);
const { model } = await openModelFolder(config.modelFolder);
const answer = lying(
  (input) => run(model, input),
  options,
  ({ answer: n, lie, input, honest, told }) =>
    write({
      event: 'lie',
      lie,
      answer: n,
      inputSha256: createHash('sha256').update(input).digest('hex'),
      honest: [...honest],
      told: [...told],
    }),
);
const serving = await serve(
  {
    spec: specOf(config.modelName, model.program),
    answer,
    meter: createMeter(),
    nowMs: Date.now,
    fault: (error) => write({ event: 'fault', message: String(error) }),
  },
  config.port,
);
write({ event: 'serving', port: serving.port });
process.once('SIGTERM', () => void serving[Symbol.asyncDispose]().then(() => process.exit(0)));
