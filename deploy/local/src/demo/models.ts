import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Hex } from '@cupel/protocol/hex';

import { checkoutFolder } from '../config.ts';
import { makeManifest } from '../manifest.ts';
import { smollm2Weights } from '../weights.ts';
import { sha256Hex } from './accounts.ts';

export interface Models {
  readonly assistant: { readonly manifestSha256: string; readonly file: string };
  readonly digits: { readonly manifestSha256: string; readonly verificationRoot: Hex };
}

/** A held-out image and its label. */
export interface Sample {
  readonly pixels: Uint8Array;
  readonly label: number;
}

/** Folders of the node that become read-only volumes, one copy per claim: nobody shares a file with a rival. */
export const weightsFolders = {
  'honest/assistant-weights': 'assistant',
  'honest/digits-weights': 'digits',
  'cheat/digits-weights': 'digits',
  'gateway/assistant-weights': 'assistant',
  'gateway/digits-weights': 'digits',
} as const;

/** Lays the weights out under `root` and says what the models are. */
export const prepareModels = async (root: string): Promise<Models> => {
  await rm(root, { recursive: true, force: true });
  const smollm2 = await smollm2Weights();
  const digitsSource = join(checkoutFolder, 'models/digits');
  const assistant = await makeManifest(smollm2.folder, {
    name: 'SmolLM2-135M-Instruct',
    files: [smollm2.file],
    license: 'Apache-2.0',
    quantization: 'Q4_1',
  });
  const digitsText = await readFile(join(digitsSource, 'cupel-manifest.json'), 'utf8');
  const digits = JSON.parse(digitsText) as { integer: { verificationRoot: Hex } };
  for (const [claim, model] of Object.entries(weightsFolders)) {
    const folder = join(root, claim);
    await mkdir(folder, { recursive: true });
    if (model === 'assistant') {
      await cp(join(smollm2.folder, smollm2.file), join(folder, smollm2.file));
      await writeFile(join(folder, 'cupel-manifest.json'), assistant.text);
    } else {
      for (const file of ['program.bin', 'weights.bin', 'cupel-manifest.json']) await cp(join(digitsSource, file), join(folder, file));
    }
  }
  return {
    assistant: { manifestSha256: assistant.sha256, file: smollm2.file },
    digits: { manifestSha256: sha256Hex(digitsText), verificationRoot: digits.integer.verificationRoot },
  };
};
