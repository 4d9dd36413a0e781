// Prints a model's cupel-manifest.json and, on stderr, its sha256 (the model hash):
// node deploy/local/src/cli/make-manifest.ts --dir models/digits --name digits --license Apache-2.0 \
//   --program program.bin --weights weights.bin > models/digits/cupel-manifest.json
import { parseArgs } from 'node:util';

import { makeManifest } from '../manifest.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dir: { type: 'string' },
    name: { type: 'string' },
    license: { type: 'string' },
    quantization: { type: 'string' },
    program: { type: 'string' },
    weights: { type: 'string' },
  },
});
const { dir, name, license, quantization, program, weights } = values;
if (dir === undefined || name === undefined) {
  process.stderr.write(
    'usage: make-manifest --dir FOLDER --name NAME [--license L] [--quantization Q] (FILE... | --program FILE --weights FILE)\n',
  );
  process.exit(2);
}
const integer = program !== undefined && weights !== undefined ? { program, weights } : undefined;
const files = [...positionals, ...(integer ? [integer.program, integer.weights] : [])];
const made = await makeManifest(dir, {
  name,
  files,
  ...(license !== undefined && { license }),
  ...(quantization !== undefined && { quantization }),
  ...(integer && { integer }),
});
process.stdout.write(made.text);
process.stderr.write(`${made.sha256}\n`);
