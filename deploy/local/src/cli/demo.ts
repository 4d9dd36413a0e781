import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { down, upSteps } from '../cluster.ts';
import { checkoutFolder, defaultStateFolder } from '../config.ts';
import { tellTheEnding } from '../demo/ending.ts';
import { sayFarewell } from '../demo/farewell.ts';
import { tellUpToTheAnswers, writeDemoFile } from '../demo/story.ts';
import { createProgress } from '../progress.ts';
import { toolBinary } from '../tools.ts';

/** `make demo`: the whole story, last a table; exit 1 when a line of it does not hold. `--keep` leaves everything up. */
const keep = process.argv.includes('--keep');
const started = performance.now();
/** Five of the cluster, fifteen of the story. */
const progress = createProgress(process.stdout, upSteps + 15);

try {
  await down(defaultStateFolder);
  const told = await tellUpToTheAnswers(progress, defaultStateFolder, keep);
  const { table, checks } = await tellTheEnding(progress, told);
  const providers = await told.cluster.kubectl(['get', 'modelproviders', '-A']);
  await sayFarewell(progress, told);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `\nkubectl get modelproviders -A, before the deletions:\n${providers.trimEnd()}\n\n${table}\n\n${checks.failed.length === 0 ? 'everything holds' : `${checks.failed.length} claims do NOT hold`}; ${seconds} s`,
  );
  if (checks.failed.length > 0) process.exitCode = 1;
  const file = join(checkoutFolder, '.cupel/demo.json');
  await told.desk[Symbol.asyncDispose]();
  if (keep) {
    await mkdir(join(checkoutFolder, '.cupel'), { recursive: true });
    await writeDemoFile(told, file);
    console.log(
      [
        '',
        'It is left up. To use it:',
        `  export KUBECONFIG=${told.cluster.kubeconfig} PATH=${dirname(await toolBinary('kubectl'))}:${dirname(await toolBinary('helm'))}:$PATH`,
        '  kubectl get modelproviders -A      (only `assistant` is left: the story deleted the others)',
        `  curl ${told.baseUrl}/models -H 'Authorization: Bearer ${told.apiKey}'`,
        `  any OpenAI client: base URL ${told.baseUrl}, the key above, model "assistant"`,
        `  metrics: ${told.metricsUrl}`,
        `The same in ${file}. \`make stop\` stops all.`,
      ].join('\n'),
    );
  } else await told.cluster.stop();
} catch (error) {
  console.error(
    error instanceof Error ? `${error.message}${error.cause instanceof Error ? `\n  because: ${error.cause.message}` : ''}` : String(error),
  );
  console.error(`\nThe demo stopped. Logs: ${defaultStateFolder}/last. README.md says how to look at a kept cluster.`);
  if (!keep) await down(defaultStateFolder);
  process.exitCode = 1;
}
process.exit();
