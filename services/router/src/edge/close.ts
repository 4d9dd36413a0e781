import type { Hex } from '@cupel/protocol/hex';
import { priceOf } from '@cupel/protocol/money';
import type { Refusal } from '@cupel/protocol/reasons';
import { refuse } from '@cupel/protocol/reasons';
import type { AnswerParams, ReceiptEnvelope } from '@cupel/protocol/wire/receipt';

import { isRefusal } from '../admit/refusals.ts';
import { payloadOf } from '../meter/payload.ts';
import type { Units } from '../meter/usage.ts';
import type { EdgeContext, EdgeJob } from './job.ts';

export interface Closing {
  readonly units: Units;
  readonly params: AnswerParams;
  readonly input: Uint8Array;
  readonly output: Uint8Array;
  readonly outputHash: Hex;
  readonly outcome: bigint;
}

/** Charges what was delivered and returns the signed receipt. */
export const closeJob = async (context: EdgeContext, job: EdgeJob, closing: Closing): Promise<ReceiptEnvelope | Refusal> => {
  const { deps, charger } = context;
  const { signed } = job.caller;
  const { units } = closing;
  const price = priceOf(job.engine.prices, units.inputUnits, units.outputUnits);
  const result = await charger.close(job.hold, signed.channelId, {
    version: 1,
    requestId: signed.requestId,
    price,
    publicName: job.engine.publicName,
    modelId: job.engine.modelId,
    payload: payloadOf(signed.salt, closing.input, closing.output),
    draft: {
      versionId: job.engine.versionId,
      channelId: signed.channelId,
      inputHash: job.inputHash,
      outputHash: closing.outputHash,
      params: closing.params,
      inputUnits: units.inputUnits,
      outputUnits: units.outputUnits,
      outcome: closing.outcome,
    },
  });
  if (isRefusal(result)) return result;
  if (!result.envelope) return refuse('internal', 'the ledger charged without signing a receipt');
  deps.observer.billed(job.engine.kind, units.inputUnits, units.outputUnits, price);
  return result.envelope;
};
