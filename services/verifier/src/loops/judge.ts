import { IntegerModelError } from '@cupel/integer/model-error';
import type { Keccak256 } from '@cupel/protocol/eip712';
import { hexToBytes } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import { saltedHash } from '@cupel/protocol/ids';
import type { Payload, ReceiptEvent } from '@cupel/protocol/wire/bus';

import { judgeChat } from '../judge/chat.ts';
import type { EvidenceCheck, VersionFacts } from '../judge/evidence.ts';
import { judgeInteger } from '../judge/integer.ts';
import type { Sequence } from '../judge/sequence.ts';
import { judged } from '../judge/verdict.ts';
import type { Judgement } from '../judge/verdict.ts';
import { ReplayError, readDelivered, readOwnAnswer, replayRequest } from '../replay/chat.ts';
import { replayInteger } from '../replay/integer.ts';
import type { LoadedModel } from '../replay/integer.ts';
import { EngineRefused } from './ports.ts';
import type { ChatEngine, OwnModels, Payments } from './ports.ts';

export interface JudgeDeps {
  readonly payments: Pick<Payments, 'payload'>;
  readonly models: OwnModels;
  readonly evidence: EvidenceCheck;
  readonly keccak: Keccak256;
  readonly sequence: (modelId: Hex) => Sequence;
}

export interface Opinion {
  readonly judgement: Judgement;
  /** Of the model's sampled chats, after this one. */
  readonly sequence?: Sequence;
}

/** Replays one answer and judges it. Throws what is worth another try: payment, chain or our own engine are away. */
export type Judge = (event: ReceiptEvent, version: VersionFacts) => Promise<Opinion>;

export const createJudge = (deps: JudgeDeps): Judge => {
  const unverifiable = (reason: string): Opinion => ({ judgement: judged('unverifiable', reason) });

  const integer = (event: ReceiptEvent, version: VersionFacts, payload: Payload, loaded: LoadedModel): Opinion => ({
    judgement: judgeInteger({
      receipt: event.envelope.receipt,
      ...replayInteger(loaded, payload),
      ownRoot: loaded.verificationRoot,
      registeredRoot: version.verificationRoot,
    }),
  });

  const chat = async (event: ReceiptEvent, payload: Payload, engine: ChatEngine): Promise<Opinion> => {
    const { receipt, params } = event.envelope;
    const [input, output] = [hexToBytes(payload.input), hexToBytes(payload.output)];
    if (saltedHash(deps.keccak, payload.salt, input) !== receipt.inputHash)
      return unverifiable('the kept request does not fit the receipt');
    if (saltedHash(deps.keccak, payload.salt, output) !== receipt.outputHash)
      return unverifiable('the kept answer does not fit the receipt');
    if (params.seed === undefined && params.temperature !== 0) return unverifiable('the receipt names no seed');
    const delivered = readDelivered(output, params.stream === true);
    const own = readOwnAnswer(await engine.complete(replayRequest(input, params)));
    const { sequence, ...judgement } = judgeChat({ params, charged: receipt, delivered, own, sequence: deps.sequence(event.modelId) });
    return { judgement, sequence };
  };

  return async (event, version) => {
    const misfit = deps.evidence(event, version);
    if (misfit !== undefined) return unverifiable(misfit);
    const model = deps.models.get(version.manifestSha256);
    if (!model) return unverifiable('no own copy of this model; name it under models');
    if ((model.kind === 'integer') !== (version.mode === 'IntegerExecution'))
      return unverifiable(`the model is configured as ${model.kind}, its mode is ${version.mode}`);
    const payload = await deps.payments.payload(event.envelope.receipt.requestId);
    if (!payload) return unverifiable('the payload is gone');
    try {
      return model.kind === 'integer' ? integer(event, version, payload, model.loaded) : await chat(event, payload, model.engine);
    } catch (error) {
      if (error instanceof ReplayError || error instanceof IntegerModelError || error instanceof EngineRefused)
        return unverifiable(error.message);
      throw error;
    }
  };
};
