import type { Hex } from '@cupel/protocol/hex';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import { OUTCOME } from '@cupel/protocol/wire/receipt';

import { isRefusal } from '../admit/refusals.ts';
import { addressOf } from '../stream/address.ts';
import type { RequestOutcome } from '../meter/observer.ts';
import { encodeEnvelope } from '../meter/receipt-header.ts';
import { sendBytes } from '../stream/respond.ts';
import { closeJob } from './close.ts';
import type { EdgeContext, EdgeJob } from './job.ts';
import { askEngine } from './engine-answer.ts';

export interface TensorCodec {
  readonly output: (answer: Uint8Array) => Uint8Array | undefined;
  readonly outputHash: (output: Uint8Array) => Hex;
}

/** One inference of an integer model: units are bytes of the tensors. */
export const serveInfer = async (
  context: EdgeContext,
  job: EdgeJob,
  input: Uint8Array,
  codec: TensorCodec,
): Promise<RequestOutcome | Refusal> => {
  const { reply } = job.exchange;
  const { base } = addressOf(job.engine.url);
  const startedMs = context.deps.clock.nowMs();
  const answer = await askEngine(context, job, `${base}/v2/models/${encodeURIComponent(job.engine.publicName)}/infer`, job.body);
  if (isRefusal(answer) || answer === 'client_left') return answer;
  const output = codec.output(answer.body);
  if (!output) return refuse('engine_failed', 'the engine gave no UINT8 tensor');
  const wrong = wrongLength(job, output.length);
  if (wrong !== undefined) {
    context.deps.logger.error({ modelId: job.engine.modelId, why: wrong }, 'an engine gave an output of a wrong length; it is not signed');
    return refuse('engine_failed', 'the engine gave an output of a wrong length');
  }
  const envelope = await closeJob(context, job, {
    units: { inputUnits: BigInt(input.length), outputUnits: BigInt(output.length) },
    params: {},
    input,
    output,
    outputHash: codec.outputHash(output),
    outcome: OUTCOME.complete,
  });
  if (isRefusal(envelope)) return envelope;
  context.deps.observer.firstByte('integer', context.deps.clock.nowMs() - startedMs);
  sendBytes(reply, 200, 'application/json', answer.body, { 'x-cupel-receipt': encodeEnvelope(envelope) });
  return 'ok';
};

/** A receipt for bytes that the model cannot have computed is a lie that costs the stake: an engine that is broken must not make us sign one. */
const wrongLength = ({ engine, bound }: EdgeJob, length: number): string | undefined => {
  if (engine.outputLength !== undefined && length !== engine.outputLength) return `${length} bytes in place of ${engine.outputLength}`;
  return BigInt(length) > bound.outputUnits ? `${length} bytes, more than ${bound.outputUnits}` : undefined;
};
