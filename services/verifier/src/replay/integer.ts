import type { IntegerModel } from '@cupel/integer/run';
import { run } from '@cupel/integer/run';
import { inputHash, outputHash } from '@cupel/integer/tensor';
import { hexToBytes } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import type { Payload } from '@cupel/protocol/wire/bus';

/** An integer model whose files were hashed at start. */
export interface LoadedModel {
  readonly verificationRoot: Hex;
  readonly program: Uint8Array;
  readonly weights: Uint8Array;
  readonly model: IntegerModel;
}

export interface IntegerReplay {
  readonly kept: { readonly inputHash: Hex; readonly outputHash: Hex };
  /** Hash of the right output; undefined: the model does not take this input. */
  readonly right: Hex | undefined;
}

/** Computes one answer again. Throws IntegerModelError when the kept bytes are no tensors at all. */
export const replayInteger = ({ model }: LoadedModel, payload: Payload): IntegerReplay => {
  const input = hexToBytes(payload.input);
  const kept = { inputHash: inputHash(hexToBytes(payload.salt, 32), input), outputHash: outputHash(hexToBytes(payload.output)) };
  const fits = input.length === model.program.inputLength;
  return { kept, right: fits ? outputHash(run(model, input)) : undefined };
};
